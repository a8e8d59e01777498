/** Events as clients get them. Spec: data/api/client-server/definitions/client_event.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId, UserId } from '../../matrix/schemas.ts'

export const ClientEvent = Type.Object({
  content: AnyObject,
  event_id: EventId,
  origin_server_ts: Type.Integer(),
  room_id: RoomId,
  sender: UserId,
  state_key: Type.Optional(Type.String()),
  type: Type.String(),
  unsigned: Type.Optional(AnyObject),
})
