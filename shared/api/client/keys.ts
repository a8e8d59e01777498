import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { DeviceId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const KeyObject = Type.Object({ key: Type.String(), signatures: AnyObject })
export const OneTimeKeysByName = Type.Record(Type.String(), Type.Union([Type.String(), KeyObject]))
const Failures = Type.Record(Type.String(), AnyObject)

/** A device's identity keys. Spec: data/api/client-server/definitions/device_keys.yaml. */
export const DeviceKeys = Type.Object({
  user_id: UserId,
  device_id: DeviceId,
  algorithms: Type.Array(Type.String()),
  keys: Type.Record(Type.String(), Type.String()),
  signatures: Type.Record(Type.String(), Type.Record(Type.String(), Type.String())),
})

/** A cross-signing key. Spec: data/api/client-server/definitions/cross_signing_key.yaml. */
export const CrossSigningKey = Type.Object({
  user_id: UserId,
  usage: Type.Array(Type.String()),
  keys: Type.Record(Type.String(), Type.String()),
  signatures: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.String()))),
})

/** Publishing a device's keys. Spec: data/api/client-server/keys.yaml. */
export const uploadKeys = endpoint({
  operationId: 'uploadKeys',
  method: 'POST',
  url: '/_matrix/client/v3/keys/upload',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    device_keys: Type.Optional(DeviceKeys),
    one_time_keys: Type.Optional(OneTimeKeysByName),
    fallback_keys: Type.Optional(OneTimeKeysByName),
  }),
  reply: Type.Object({ one_time_key_counts: Type.Record(Type.String(), Type.Integer()) }),
  errors: {},
})

/** Asking for the devices and keys of users. Spec: data/api/client-server/keys.yaml. */
export const queryKeys = endpoint({
  operationId: 'queryKeys',
  method: 'POST',
  url: '/_matrix/client/v3/keys/query',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    timeout: Type.Optional(Type.Integer()),
    device_keys: Type.Record(Type.String(), Type.Array(Type.String())),
  }),
  reply: Type.Object({
    failures: Type.Optional(Failures),
    device_keys: Type.Optional(Type.Record(Type.String(), AnyObject)),
    master_keys: Type.Optional(Type.Record(Type.String(), AnyObject)),
    self_signing_keys: Type.Optional(Type.Record(Type.String(), AnyObject)),
    user_signing_keys: Type.Optional(Type.Record(Type.String(), AnyObject)),
  }),
  errors: {},
})

/** Claiming one-time keys. Spec: data/api/client-server/keys.yaml. */
export const claimKeys = endpoint({
  operationId: 'claimKeys',
  method: 'POST',
  url: '/_matrix/client/v3/keys/claim',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    timeout: Type.Optional(Type.Integer()),
    one_time_keys: Type.Record(Type.String(), Type.Record(Type.String(), Type.String())),
  }),
  reply: Type.Object({
    failures: Type.Optional(Failures),
    one_time_keys: Type.Record(Type.String(), AnyObject),
  }),
  errors: {},
})

/** Whose devices changed between two sync tokens. Spec: data/api/client-server/keys.yaml. */
export const getKeysChanges = endpoint({
  operationId: 'getKeysChanges',
  method: 'GET',
  url: '/_matrix/client/v3/keys/changes',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({ from: Type.String(), to: Type.String() }),
  body: null,
  reply: Type.Object({
    changed: Type.Optional(Type.Array(Type.String())),
    left: Type.Optional(Type.Array(Type.String())),
  }),
  errors: {},
})
