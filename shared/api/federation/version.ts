import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Which program a server runs. Spec: data/api/server-server/version.yaml. */
export const getVersion = endpoint({
  operationId: 'getVersion',
  method: 'GET',
  url: '/_matrix/federation/v1/version',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    server: Type.Optional(Type.Object({ name: Type.Optional(Type.String()), version: Type.Optional(Type.String()) })),
  }),
  errors: {},
})
