import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** A signed leave: somebody leaves, turns down an invite or takes back a knock. Spec: data/api/server-server/leaving-v2.yaml. */
export const sendLeaveV2 = endpoint({
  operationId: 'sendLeaveV2',
  method: 'PUT',
  url: '/_matrix/federation/v2/send_leave/{roomId}/{eventId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  body: AnyObject,
  reply: Type.Object({}),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403 },
})
