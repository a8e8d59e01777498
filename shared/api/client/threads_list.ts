import { Type } from 'typebox'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'

/** A room's threads. Spec: data/api/client-server/threads_list.yaml. */
export const getThreadRoots = endpoint({
  operationId: 'getThreadRoots',
  method: 'GET',
  url: '/_matrix/client/v1/rooms/{roomId}/threads',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({
    include: Type.Optional(Type.Enum(['all', 'participated'])),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    from: Type.Optional(Type.String()),
  }),
  body: null,
  reply: Type.Object({ chunk: Type.Array(ClientEvent), next_batch: Type.Optional(Type.String()) }),
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})
