/** The published room directory. Spec: data/api/client-server/list_public_rooms.yaml. */
import { Type } from 'typebox'
import { RoomAlias, RoomId, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const visibilityUrl = '/_matrix/client/v3/directory/list/room/{roomId}'
const listUrl = '/_matrix/client/v3/publicRooms'
const path = Type.Object({ roomId: RoomId })
const none = Type.Object({})
const Visibility = Type.Enum(['private', 'public'])

/** Spec: data/api/client-server/definitions/public_rooms_chunk.yaml. */
export const PublishedRoom = Type.Object({
  room_id: RoomId,
  num_joined_members: Type.Integer(),
  world_readable: Type.Boolean(),
  guest_can_join: Type.Boolean(),
  canonical_alias: Type.Optional(RoomAlias),
  name: Type.Optional(Type.String()),
  topic: Type.Optional(Type.String()),
  avatar_url: Type.Optional(Type.String()),
  join_rule: Type.Optional(Type.String()),
  room_type: Type.Optional(Type.String()),
})

/** Spec: data/api/client-server/definitions/public_rooms_response.yaml. */
export const PublishedRooms = Type.Object({
  chunk: Type.Array(PublishedRoom),
  next_batch: Type.Optional(Type.String()),
  prev_batch: Type.Optional(Type.String()),
  total_room_count_estimate: Type.Optional(Type.Integer()),
})

export const getRoomVisibilityOnDirectory = endpoint({
  operationId: 'getRoomVisibilityOnDirectory',
  method: 'GET',
  url: visibilityUrl,
  auth: 'none',
  rateLimited: false,
  path,
  query: none,
  body: null,
  reply: Type.Object({ visibility: Type.Optional(Visibility) }),
  errors: { M_NOT_FOUND: 404 },
})

export const setRoomVisibilityOnDirectory = endpoint({
  operationId: 'setRoomVisibilityOnDirectory',
  method: 'PUT',
  url: visibilityUrl,
  auth: 'accessToken',
  rateLimited: false,
  path,
  query: none,
  body: Type.Object({ visibility: Type.Optional(Visibility) }),
  reply: none,
  errors: { M_NOT_FOUND: 404 },
})

export const getPublicRooms = endpoint({
  operationId: 'getPublicRooms',
  method: 'GET',
  url: listUrl,
  auth: 'none',
  rateLimited: false,
  path: none,
  query: Type.Object({
    limit: Type.Optional(Type.Integer()),
    since: Type.Optional(Type.String()),
    server: Type.Optional(ServerName),
  }),
  body: null,
  reply: PublishedRooms,
  errors: {},
})

export const queryPublicRooms = endpoint({
  operationId: 'queryPublicRooms',
  method: 'POST',
  url: listUrl,
  auth: 'accessToken',
  rateLimited: false,
  path: none,
  query: Type.Object({ server: Type.Optional(ServerName) }),
  body: Type.Object({
    limit: Type.Optional(Type.Integer()),
    since: Type.Optional(Type.String()),
    filter: Type.Optional(
      Type.Object({
        generic_search_term: Type.Optional(Type.String()),
        room_types: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Null()]))),
      }),
    ),
    include_all_networks: Type.Optional(Type.Boolean()),
    third_party_instance_id: Type.Optional(Type.String()),
  }),
  reply: PublishedRooms,
  errors: {},
})
