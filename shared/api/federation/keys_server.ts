import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** A server's key document; what it holds is checked by its signatures. Spec: data/api/server-server/definitions/keys.yaml. */
export const ServerKeyDocument = Type.Object({
  server_name: Type.String(),
  verify_keys: Type.Object({}),
  old_verify_keys: Type.Optional(Type.Object({})),
  signatures: Type.Object({}),
  valid_until_ts: Type.Integer(),
})

/** A server's signing keys. Spec: data/api/server-server/keys_server.yaml. */
export const getServerKey = endpoint({
  operationId: 'getServerKey',
  method: 'GET',
  url: '/_matrix/key/v2/server',
  // Servers before v1.6 of the specification name a key, and get all.
  aliases: ['/_matrix/key/v2/server/', '/_matrix/key/v2/server/{keyId}'],
  auth: 'none',
  rateLimited: false,
  path: Type.Object({ keyId: Type.String() }),
  query: Type.Object({}),
  body: null,
  reply: ServerKeyDocument,
  errors: {},
})
