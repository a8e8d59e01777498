import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

const common = { method: 'POST', auth: 'signedRequest', rateLimited: false, errors: {} } as const
const none = Type.Object({})
const ByUser = Type.Record(Type.String(), AnyObject)

/** One-time keys of users of the server that is asked. Spec: data/api/server-server/user_keys.yaml. */
export const claimUserEncryptionKeys = endpoint({
  ...common,
  operationId: 'claimUserEncryptionKeys',
  url: '/_matrix/federation/v1/user/keys/claim',
  path: none,
  query: none,
  body: Type.Object({ one_time_keys: Type.Record(Type.String(), Type.Record(Type.String(), Type.String())) }),
  reply: Type.Object({ one_time_keys: ByUser }),
})

/** Devices and keys of users of the server that is asked. Spec: data/api/server-server/user_keys.yaml. */
export const queryUserEncryptionKeys = endpoint({
  ...common,
  operationId: 'queryUserEncryptionKeys',
  url: '/_matrix/federation/v1/user/keys/query',
  path: none,
  query: none,
  body: Type.Object({ device_keys: Type.Record(Type.String(), Type.Array(Type.String())) }),
  reply: Type.Object({
    device_keys: ByUser,
    master_keys: Type.Optional(ByUser),
    self_signing_keys: Type.Optional(ByUser),
  }),
})
