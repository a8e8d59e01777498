import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const PresenceState = Type.Union([Type.Literal('online'), Type.Literal('offline'), Type.Literal('unavailable')])

/** Sets one's own presence. Spec: data/api/client-server/presence.yaml. */
export const setPresence = endpoint({
  operationId: 'setPresence',
  method: 'PUT',
  url: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: Type.Object({
    presence: PresenceState,
    status_msg: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  }),
  reply: Type.Object({}),
  errors: {},
})

/** Somebody's presence, for those who share a room with them. Spec: data/api/client-server/presence.yaml. */
export const getPresence = endpoint({
  operationId: 'getPresence',
  method: 'GET',
  url: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    presence: PresenceState,
    /** Milliseconds. */
    last_active_ago: Type.Optional(Type.Integer()),
    status_msg: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    currently_active: Type.Optional(Type.Boolean()),
  }),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
