/** Asks the homeserver to ping the application service that asks. Spec: data/api/client-server/appservice_ping.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

export const pingAppservice = endpoint({
  operationId: 'pingAppservice',
  method: 'POST',
  url: '/_matrix/client/v1/appservice/{appserviceId}/ping',
  auth: 'appserviceAccessToken',
  rateLimited: false,
  path: Type.Object({ appserviceId: Type.String() }),
  query: Type.Object({}),
  body: Type.Object({ transaction_id: Type.Optional(Type.String()) }),
  reply: Type.Object({ duration_ms: Type.Integer() }),
  errors: {
    M_URL_NOT_SET: 400,
    M_FORBIDDEN: 403,
    M_BAD_STATUS: 502,
    M_CONNECTION_FAILED: 502,
    M_CONNECTION_TIMEOUT: 504,
  },
})
