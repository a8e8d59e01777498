import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Servers that relay calls. Spec: data/api/client-server/voip.yaml. */
export const getTurnServer = endpoint({
  operationId: 'getTurnServer',
  method: 'GET',
  url: '/_matrix/client/v3/voip/turnServer',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    username: Type.String(),
    password: Type.String(),
    uris: Type.Array(Type.String()),
    /** Seconds. */
    ttl: Type.Integer(),
  }),
  errors: {},
})
