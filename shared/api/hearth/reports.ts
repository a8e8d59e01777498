/** What people have reported, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/reports'
const unstable = 'hearth'

/** Newest first. `before` is the `next` of the page before. */
export const getReports = endpoint({
  operationId: 'getReports',
  method: 'GET',
  url,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    before: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  body: null,
  reply: Type.Object({
    reports: Type.Array(
      Type.Object({
        report_id: Type.String(),
        kind: Type.Enum(['room', 'event', 'user']),
        /** Who reports. */
        by: Type.String(),
        room_id: Type.Optional(Type.String()),
        event_id: Type.Optional(Type.String()),
        /** The user, or the event's sender. */
        user_id: Type.Optional(Type.String()),
        reason: Type.String(),
        /** A reported event as the reporter saw it. */
        event: Type.Optional(AnyObject),
        /** Milliseconds since the epoch. */
        received_ts: Type.Integer(),
      }),
    ),
    next: Type.Optional(Type.Integer()),
  }),
  errors: { M_FORBIDDEN: 403 },
  unstable,
})

/** It is dealt with, and forgotten. */
export const removeReport = endpoint({
  operationId: 'removeReport',
  method: 'DELETE',
  url: `${url}/{reportId}`,
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ reportId: Type.String({ minLength: 1, maxLength: 100 }) }),
  query: none,
  body: null,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
  unstable,
})
