/** Whether an application service can be reached. Spec: data/api/application-service/ping.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

export const ping = endpoint({
  operationId: 'ping',
  method: 'POST',
  url: '/_matrix/app/v1/ping',
  auth: 'homeserverAccessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({ transaction_id: Type.Optional(Type.String()) }),
  reply: Type.Object({}),
  errors: {},
})
