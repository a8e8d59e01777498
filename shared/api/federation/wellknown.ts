import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Where other servers find the server of this name. Spec: data/api/server-server/wellknown.yaml. */
export const getWellKnown = endpoint({
  operationId: 'getWellKnown',
  method: 'GET',
  url: '/.well-known/matrix/server',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ 'm.server': Type.Optional(Type.String()) }),
  errors: { M_NOT_FOUND: 404 },
})
