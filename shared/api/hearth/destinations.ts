/** Other servers that something waits for, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const orNull = <T extends ReturnType<typeof Type.Integer> | ReturnType<typeof Type.String>>(schema: T) =>
  Type.Union([schema, Type.Null()])
const common = { auth: 'accessToken', rateLimited: true, unstable: 'hearth' } as const

/** Only those that something is to be sent to: a server that is not named has all. The longest failing first. */
export const getDestinations = endpoint({
  ...common,
  operationId: 'getDestinations',
  method: 'GET',
  url: '/_hearth/client/v1/federation/destinations',
  path: none,
  query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })) }),
  body: null,
  reply: Type.Object({
    destinations: Type.Array(
      Type.Object({
        server_name: ServerName,
        state: Type.Union([Type.Literal('sending'), Type.Literal('waiting'), Type.Literal('failing')]),
        /** Milliseconds since the epoch. */
        failing_since: orNull(Type.Integer()),
        retry_at: orNull(Type.Integer()),
        /** Why the last try failed. */
        why: orNull(Type.String()),
        /** Whether it lacks events of rooms. */
        lacks_events: Type.Boolean(),
        /** About how many of other kinds wait: keys, messages to devices, receipts. */
        waiting_edus: Type.Integer(),
      }),
    ),
    /** All of them, not of this page alone. */
    total: Type.Integer(),
  }),
  errors: { M_FORBIDDEN: 403 },
})

/** Tries a server again now, however long it was to be left alone. */
export const retryDestination = endpoint({
  ...common,
  operationId: 'retryDestination',
  method: 'POST',
  url: '/_hearth/client/v1/federation/destinations/{serverName}/retry',
  path: Type.Object({ serverName: ServerName }),
  query: none,
  body: none,
  bodyRequired: false,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
