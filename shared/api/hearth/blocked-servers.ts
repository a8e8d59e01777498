/** Servers that this home has nothing to do with, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const one = Type.Object({ pattern: Type.String() })
const url = '/_hearth/client/v1/federation/blocked_servers'
const shared = { auth: 'accessToken', rateLimited: true, query: none, unstable: 'hearth' } as const

export const listBlockedServers = endpoint({
  ...shared,
  operationId: 'listBlockedServers',
  method: 'GET',
  url,
  path: none,
  body: null,
  reply: Type.Object({
    servers: Type.Array(
      Type.Object({
        /** A host name; `*` stands for any characters, `?` for one. */
        pattern: Type.String(),
        reason: Type.String(),
        blocked_by: Type.String(),
        created_ts: Type.Integer(),
      }),
    ),
  }),
  errors: { M_FORBIDDEN: 403 },
})

export const blockServer = endpoint({
  ...shared,
  operationId: 'blockServer',
  method: 'PUT',
  url: `${url}/{pattern}`,
  path: one,
  body: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 1_000 })) }),
  bodyRequired: false,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})

export const unblockServer = endpoint({
  ...shared,
  operationId: 'unblockServer',
  method: 'DELETE',
  url: `${url}/{pattern}`,
  path: one,
  body: null,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
