import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** A room and the rooms right below it, as far as a server may know of them. Spec: data/api/server-server/space_hierarchy.yaml. */
export const getSpaceHierarchy = endpoint({
  operationId: 'getSpaceHierarchy',
  method: 'GET',
  url: '/_matrix/federation/v1/hierarchy/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({ suggested_only: Type.Optional(Type.Boolean()) }),
  body: null,
  reply: Type.Object({
    room: AnyObject,
    children: Type.Array(AnyObject),
    inaccessible_children: Type.Array(Type.String()),
  }),
  errors: { M_NOT_FOUND: 404 },
})
