/** Reading a room. Spec: data/api/client-server/rooms.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { EventId, RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

const Membership = Type.Enum(['join', 'invite', 'knock', 'leave', 'ban'])
const read = { method: 'GET', auth: 'accessToken', rateLimited: false, body: null } as const

export const getOneRoomEvent = endpoint({
  ...read,
  operationId: 'getOneRoomEvent',
  url: '/_matrix/client/v3/rooms/{roomId}/event/{eventId}',
  path: Type.Object({ roomId: RoomId, eventId: EventId }),
  query: Type.Object({}),
  reply: ClientEvent,
  errors: { M_NOT_FOUND: 404 },
})

export const getRoomStateWithKey = endpoint({
  ...read,
  operationId: 'getRoomStateWithKey',
  url: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  aliases: [
    '/_matrix/client/v3/rooms/{roomId}/state/{eventType}',
    '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/',
  ],
  path: Type.Object({ roomId: RoomId, eventType: Type.String({ minLength: 1 }), stateKey: Type.String() }),
  query: Type.Object({ format: Type.Optional(Type.Enum(['content', 'event'])) }),
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

export const getRoomState = endpoint({
  ...read,
  operationId: 'getRoomState',
  url: '/_matrix/client/v3/rooms/{roomId}/state',
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  reply: Type.Array(ClientEvent),
  errors: { M_FORBIDDEN: 403 },
})

export const getMembersByRoom = endpoint({
  ...read,
  operationId: 'getMembersByRoom',
  url: '/_matrix/client/v3/rooms/{roomId}/members',
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({
    at: Type.Optional(Type.String()),
    membership: Type.Optional(Membership),
    not_membership: Type.Optional(Membership),
  }),
  reply: Type.Object({ chunk: Type.Optional(Type.Array(ClientEvent)) }),
  errors: { M_FORBIDDEN: 403 },
})

export const getJoinedMembersByRoom = endpoint({
  ...read,
  operationId: 'getJoinedMembersByRoom',
  url: '/_matrix/client/v3/rooms/{roomId}/joined_members',
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  reply: Type.Object({
    joined: Type.Optional(
      Type.Record(
        UserId,
        Type.Object({ display_name: Type.Optional(Type.String()), avatar_url: Type.Optional(Type.String()) }),
      ),
    ),
  }),
  errors: { M_FORBIDDEN: 403 },
})
