import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** The keys of the policy server of this name. Spec: data/api/client-server/policy_server.yaml. */
export const getWellknownPolicy = endpoint({
  operationId: 'getWellknownPolicy',
  method: 'GET',
  url: '/.well-known/matrix/policy_server',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ public_keys: Type.Object({ ed25519: Type.String() }) }),
  errors: { M_NOT_FOUND: 404 },
})
