import { Type } from 'typebox'
import { EventId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

/** An event of any room; deprecated, and still called. Spec: data/api/client-server/old_sync.yaml. */
export const getOneEvent = endpoint({
  operationId: 'getOneEvent',
  method: 'GET',
  url: '/_matrix/client/v3/events/{eventId}',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ eventId: EventId }),
  query: Type.Object({}),
  body: null,
  reply: ClientEvent,
  errors: { M_NOT_FOUND: 404 },
})
