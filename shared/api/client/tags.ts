/** Tags of rooms. Spec: data/api/client-server/tags.yaml. */
import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const RoomPath = Type.Object({ userId: UserId, roomId: RoomId })
const TagPath = Type.Object({ userId: UserId, roomId: RoomId, tag: Type.String() })
const tagUrl = '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}'
const common = { auth: 'accessToken', rateLimited: false, query: none, errors: { M_FORBIDDEN: 403 } } as const

/** `order` is a number from 0 to 1; other keys are kept. */
const Tag = Type.Object({ order: Type.Optional(Type.Number()) })

export const getRoomTags = endpoint({
  ...common,
  operationId: 'getRoomTags',
  method: 'GET',
  url: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags',
  path: RoomPath,
  body: null,
  reply: Type.Object({ tags: Type.Record(Type.String(), Tag) }),
})

export const setRoomTag = endpoint({
  ...common,
  operationId: 'setRoomTag',
  method: 'PUT',
  url: tagUrl,
  path: TagPath,
  body: Tag,
  reply: none,
})

export const deleteRoomTag = endpoint({
  ...common,
  operationId: 'deleteRoomTag',
  method: 'DELETE',
  url: tagUrl,
  path: TagPath,
  body: null,
  reply: none,
})
