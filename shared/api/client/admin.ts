/** What administrators, and users for themselves, may ask of accounts. Spec: data/api/client-server/admin.yaml. */
import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const Connection = Type.Object({
  ip: Type.Optional(Type.String()),
  /** Milliseconds since the epoch. */
  last_seen: Type.Optional(Type.Integer()),
  user_agent: Type.Optional(Type.String()),
})

/** Where a user is logged in. */
export const getWhoIs = endpoint({
  operationId: 'getWhoIs',
  method: 'GET',
  url: '/_matrix/client/v3/admin/whois/{userId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    user_id: UserId,
    devices: Type.Record(
      Type.String(),
      Type.Object({ sessions: Type.Array(Type.Object({ connections: Type.Array(Connection) })) }),
    ),
  }),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

const UserPath = Type.Object({ userId: UserId })
const Suspension = Type.Object({ suspended: Type.Boolean() })
const Lock = Type.Object({ locked: Type.Boolean() })
const common = {
  auth: 'accessToken',
  rateLimited: false,
  path: UserPath,
  query: Type.Object({}),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
} as const

export const getAdminSuspendUser = endpoint({
  ...common,
  operationId: 'getAdminSuspendUser',
  method: 'GET',
  url: '/_matrix/client/v1/admin/suspend/{userId}',
  body: null,
  reply: Suspension,
})

export const setAdminSuspendUser = endpoint({
  ...common,
  operationId: 'setAdminSuspendUser',
  method: 'PUT',
  url: '/_matrix/client/v1/admin/suspend/{userId}',
  body: Suspension,
  reply: Suspension,
})

export const getAdminLockUser = endpoint({
  ...common,
  operationId: 'getAdminLockUser',
  method: 'GET',
  url: '/_matrix/client/v1/admin/lock/{userId}',
  body: null,
  reply: Lock,
})

export const setAdminLockUser = endpoint({
  ...common,
  operationId: 'setAdminLockUser',
  method: 'PUT',
  url: '/_matrix/client/v1/admin/lock/{userId}',
  body: Lock,
  reply: Lock,
})
