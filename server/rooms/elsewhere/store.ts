/** What is kept of rooms that this server is not in, or not yet. */
import { collection } from '../../store/index.ts'

export type OutsideRoomRow = {
  readonly roomId: string
  readonly version: string
  /** The server that we last had to do with about it. */
  readonly via: string
  /** Of the last membership event: its stream position, and its `origin_server_ts`. */
  readonly position: number
  readonly ts: number
}

/** Rooms that our users were invited to, or knocked on, while this server was not in them. */
export const outsideRooms = collection<OutsideRoomRow>({
  name: 'outside-rooms',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

export type RoomBeingJoinedRow = { readonly roomId: string }

/** Rooms whose state is being written; after a crash what there is of them is taken away. */
export const roomsBeingJoined = collection<RoomBeingJoinedRow>({
  name: 'rooms-being-joined',
  place: 'home',
  key: 'roomId',
  indexes: [],
})
