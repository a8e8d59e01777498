/** Events and what goes with them, from the homeserver to an application service. Spec: data/api/application-service/transactions.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

export const sendTransaction = endpoint({
  operationId: 'sendTransaction',
  method: 'PUT',
  url: '/_matrix/app/v1/transactions/{txnId}',
  aliases: ['/transactions/{txnId}'],
  auth: 'homeserverAccessToken',
  rateLimited: false,
  path: Type.Object({ txnId: Type.String() }),
  query: Type.Object({}),
  body: Type.Object({ events: Type.Array(AnyObject), ephemeral: Type.Optional(Type.Array(AnyObject)) }),
  reply: Type.Object({}),
  errors: {},
})
