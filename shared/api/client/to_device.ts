import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'

/** Sending a message to devices. Spec: data/api/client-server/to_device.yaml. */
export const sendToDevice = endpoint({
  operationId: 'sendToDevice',
  method: 'PUT',
  url: '/_matrix/client/v3/sendToDevice/{eventType}/{txnId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({
    eventType: Type.String({ minLength: 1, maxLength: 255 }),
    txnId: Type.String({ minLength: 1, maxLength: 255 }),
  }),
  query: Type.Object({}),
  body: Type.Object({ messages: Type.Record(Type.String(), Type.Record(Type.String(), AnyObject)) }),
  reply: Type.Object({}),
  errors: {},
})
