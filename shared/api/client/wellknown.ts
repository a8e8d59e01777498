import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Where clients find the server of this name. Spec: data/api/client-server/wellknown.yaml. */
export const getWellknown = endpoint({
  operationId: 'getWellknown',
  method: 'GET',
  url: '/.well-known/matrix/client',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    'm.homeserver': Type.Object({ base_url: Type.String() }),
    'm.identity_server': Type.Optional(Type.Object({ base_url: Type.String() })),
  }),
  errors: { M_NOT_FOUND: 404 },
})
