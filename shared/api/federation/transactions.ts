/** Events and ephemeral data that a server pushes to another. Spec: data/api/server-server/transactions.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

/** Spec: server-server-api §Transactions. */
export const MAX_TRANSACTION_PDUS = 50
export const MAX_TRANSACTION_EDUS = 100

export const sendTransaction = endpoint({
  operationId: 'sendTransaction',
  method: 'PUT',
  url: '/_matrix/federation/v1/send/{txnId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ txnId: Type.String() }),
  query: Type.Object({}),
  // As long as its PDUs may be in all, and as much again for EDUs.
  maxBodyBytes: 2 * MAX_TRANSACTION_PDUS * 65_536,
  body: Type.Object({
    origin: Type.String(),
    origin_server_ts: Type.Integer(),
    pdus: Type.Array(AnyObject, { maxItems: MAX_TRANSACTION_PDUS }),
    /** One that is not as it should be is passed over: it would hold up all that comes after it. */
    edus: Type.Optional(Type.Array(AnyObject, { maxItems: MAX_TRANSACTION_EDUS })),
  }),
  /** By event ID: `{}`, or with an `error`. */
  reply: Type.Object({ pdus: AnyObject }),
  errors: {},
})
