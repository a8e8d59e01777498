import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { RoomSummary } from './room_summary.ts'

/** The rooms of a space, and of the spaces in it. Spec: data/api/client-server/space_hierarchy.yaml. */
export const getSpaceHierarchy = endpoint({
  operationId: 'getSpaceHierarchy',
  method: 'GET',
  url: '/_matrix/client/v1/rooms/{roomId}/hierarchy',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({
    suggested_only: Type.Optional(Type.Boolean()),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    max_depth: Type.Optional(Type.Integer({ minimum: 0 })),
    from: Type.Optional(Type.String()),
  }),
  body: null,
  reply: Type.Object({
    rooms: Type.Array(
      Type.Object({
        ...RoomSummary.properties,
        children_state: Type.Array(
          Type.Object({
            type: Type.String(),
            state_key: Type.String(),
            sender: UserId,
            content: AnyObject,
            origin_server_ts: Type.Integer(),
          }),
        ),
      }),
    ),
    next_batch: Type.Optional(Type.String()),
  }),
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})
