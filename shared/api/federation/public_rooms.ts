/** Our published room directory, for other servers. Spec: data/api/server-server/public_rooms.yaml. */
import { Type } from 'typebox'
import { PublishedRooms } from '../client/list_public_rooms.ts'
import { endpoint } from '../endpoint.ts'

const url = '/_matrix/federation/v1/publicRooms'
const wish = {
  /** 0, or none: as many as we give at once. */
  limit: Type.Optional(Type.Integer()),
  since: Type.Optional(Type.String()),
  include_all_networks: Type.Optional(Type.Boolean()),
  third_party_instance_id: Type.Optional(Type.String()),
}

export const getPublicRooms = endpoint({
  operationId: 'getPublicRooms',
  method: 'GET',
  url,
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object(wish),
  body: null,
  reply: PublishedRooms,
  errors: { M_INVALID_PARAM: 400 },
})

export const queryPublicRooms = endpoint({
  operationId: 'queryPublicRooms',
  method: 'POST',
  url,
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    ...wish,
    filter: Type.Optional(
      Type.Object({
        generic_search_term: Type.Optional(Type.String()),
        room_types: Type.Optional(Type.Array(Type.Union([Type.String(), Type.Null()]))),
      }),
    ),
  }),
  reply: PublishedRooms,
  errors: { M_INVALID_PARAM: 400 },
})
