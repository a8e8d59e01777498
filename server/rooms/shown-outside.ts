/** The shapes of what is shown of rooms to those who are not in them. Spec: data/api/client-server/definitions/room_summary.yaml. */
import type { JsonObject } from '../protocol/pdu.ts'
import type { PublicRoom } from './published-rooms.ts'

export interface RoomSummary extends PublicRoom {
  readonly room_version: string
  readonly encryption?: string
  /** The rooms whose members may join. */
  readonly allowed_room_ids?: readonly string[]
}

/** An `m.space.child` event as those see it who are not in the space. */
export interface StrippedChild {
  readonly type: string
  readonly state_key: string
  readonly sender: string
  readonly content: JsonObject
  readonly origin_server_ts: number
}
