import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const StateEvent = Type.Object({
  type: Type.String(),
  state_key: Type.Optional(Type.String()),
  content: AnyObject,
})

/** Spec: data/api/client-server/definitions/invite_3pid.yaml. */
const Invite3pid = Type.Object({
  id_server: Type.String(),
  id_access_token: Type.String(),
  medium: Type.String(),
  address: Type.String(),
})

/** Making a room. Spec: data/api/client-server/create_room.yaml. */
export const createRoom = endpoint({
  operationId: 'createRoom',
  method: 'POST',
  url: '/_matrix/client/v3/createRoom',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    visibility: Type.Optional(Type.Enum(['public', 'private'])),
    room_alias_name: Type.Optional(Type.String()),
    name: Type.Optional(Type.String()),
    topic: Type.Optional(Type.String()),
    invite: Type.Optional(Type.Array(UserId)),
    invite_3pid: Type.Optional(Type.Array(Invite3pid)),
    room_version: Type.Optional(Type.String()),
    creation_content: Type.Optional(AnyObject),
    initial_state: Type.Optional(Type.Array(StateEvent)),
    preset: Type.Optional(Type.Enum(['private_chat', 'public_chat', 'trusted_private_chat'])),
    is_direct: Type.Optional(Type.Boolean()),
    power_level_content_override: Type.Optional(AnyObject),
  }),
  reply: Type.Object({ room_id: RoomId }),
  errors: {
    M_ROOM_IN_USE: 400,
    M_INVALID_ROOM_STATE: 400,
    M_UNSUPPORTED_ROOM_VERSION: 400,
    M_INVITE_BLOCKED: 403,
  },
})
