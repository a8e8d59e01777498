import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'
import { CrossSigningKey } from './keys.ts'

/** Publishing cross-signing keys; changing them asks for authentication. Spec: data/api/client-server/cross_signing.yaml. */
export const uploadCrossSigningKeys = endpoint({
  operationId: 'uploadCrossSigningKeys',
  method: 'POST',
  url: '/_matrix/client/v3/keys/device_signing/upload',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    master_key: Type.Optional(CrossSigningKey),
    self_signing_key: Type.Optional(CrossSigningKey),
    user_signing_key: Type.Optional(CrossSigningKey),
    auth: Type.Optional(AnyObject),
  }),
  reply: Type.Object({}),
  errors: { M_INVALID_SIGNATURE: 400, M_MISSING_PARAM: 400, M_FORBIDDEN: 403 },
})

/** Publishing signatures on keys. Spec: data/api/client-server/cross_signing.yaml. */
export const uploadCrossSigningSignatures = endpoint({
  operationId: 'uploadCrossSigningSignatures',
  method: 'POST',
  url: '/_matrix/client/v3/keys/signatures/upload',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Record(Type.String(), Type.Record(Type.String(), AnyObject)),
  reply: Type.Object({ failures: Type.Optional(Type.Record(Type.String(), AnyObject)) }),
  errors: {},
})
