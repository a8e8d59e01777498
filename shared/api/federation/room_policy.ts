import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

/** A room's policy server is asked for its signature of an event. Spec: data/api/server-server/room_policy.yaml. */
export const askPolicyServerToSign = endpoint({
  operationId: 'askPolicyServerToSign',
  method: 'POST',
  url: '/_matrix/policy/v1/sign',
  auth: 'signedRequest',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: AnyObject,
  /** Signatures by server and key ID. */
  reply: AnyObject,
  errors: { M_BAD_JSON: 400, M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
