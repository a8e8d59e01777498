import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Which versions of the specification the server speaks. Spec: data/api/client-server/versions.yaml. */
export const getVersions = endpoint({
  operationId: 'getVersions',
  method: 'GET',
  url: '/_matrix/client/versions',
  // A token may come along, but what we offer does not depend on it, and an old one must not keep a client out.
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    versions: Type.Array(Type.String()),
    unstable_features: Type.Optional(Type.Record(Type.String(), Type.Boolean())),
  }),
  errors: {},
})
