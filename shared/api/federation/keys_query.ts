/** Keys of other servers, by way of a notary. Spec: data/api/server-server/keys_query.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { ServerKeyDocument } from './keys_server.ts'

const reply = Type.Object({ server_keys: Type.Array(ServerKeyDocument) })
const common = { auth: 'none', rateLimited: false, reply, errors: {} } as const

export const perspectivesKeyQuery = endpoint({
  ...common,
  operationId: 'perspectivesKeyQuery',
  method: 'GET',
  url: '/_matrix/key/v2/query/{serverName}',
  aliases: ['/_matrix/key/v2/query/{serverName}/{keyId}'],
  path: Type.Object({ serverName: Type.String(), keyId: Type.String() }),
  query: Type.Object({ minimum_valid_until_ts: Type.Optional(Type.Integer()) }),
  body: null,
})

export const bulkPerspectivesKeyQuery = endpoint({
  ...common,
  operationId: 'bulkPerspectivesKeyQuery',
  method: 'POST',
  url: '/_matrix/key/v2/query',
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    server_keys: Type.Record(
      Type.String(),
      Type.Record(Type.String(), Type.Object({ minimum_valid_until_ts: Type.Optional(Type.Integer()) })),
    ),
  }),
  maxBodyBytes: 256 * 1024,
})
