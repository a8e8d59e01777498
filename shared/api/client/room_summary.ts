import { Type } from 'typebox'
import { RoomId, RoomIdOrAlias, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { PublishedRoom } from './list_public_rooms.ts'

/** Spec: data/api/client-server/definitions/room_summary.yaml. */
export const RoomSummary = Type.Object({
  ...PublishedRoom.properties,
  allowed_room_ids: Type.Optional(Type.Array(RoomId)),
  encryption: Type.Optional(Type.String()),
  room_version: Type.Optional(Type.String()),
})

/** What a room is, for those who think of joining it. Spec: data/api/client-server/room_summary.yaml. */
export const getRoomSummary = endpoint({
  operationId: 'getRoomSummary',
  method: 'GET',
  url: '/_matrix/client/v1/room_summary/{roomIdOrAlias}',
  // MSC3266, both of the paths that clients used before spec v1.15.
  aliases: [
    '/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}',
    '/_matrix/client/unstable/im.nheko.summary/rooms/{roomIdOrAlias}/summary',
  ],
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ roomIdOrAlias: RoomIdOrAlias }),
  query: Type.Object({ via: Type.Optional(Type.Array(ServerName)) }),
  body: null,
  reply: Type.Object({
    ...RoomSummary.properties,
    membership: Type.Optional(Type.Enum(['invite', 'join', 'knock', 'leave', 'ban'])),
  }),
  errors: { M_NOT_FOUND: 404 },
})
