/** Third-party networks, by way of application services. Spec: data/api/client-server/third_party_lookup.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { FieldsQuery, LocationBatch, Protocol, UserBatch } from '../third-party.ts'

const base = '/_matrix/client/v3/thirdparty'
const common = { method: 'GET', auth: 'accessToken', rateLimited: false, body: null } as const
const path = Type.Object({ protocol: Type.String() })
const none = Type.Object({})

export const getProtocols = endpoint({
  ...common,
  operationId: 'getProtocols',
  url: `${base}/protocols`,
  path: none,
  query: none,
  reply: Type.Record(Type.String(), Protocol),
  errors: {},
})

export const getProtocolMetadata = endpoint({
  ...common,
  operationId: 'getProtocolMetadata',
  url: `${base}/protocol/{protocol}`,
  path,
  query: none,
  reply: Protocol,
  errors: { M_NOT_FOUND: 404 },
})

export const queryLocationByProtocol = endpoint({
  ...common,
  operationId: 'queryLocationByProtocol',
  url: `${base}/location/{protocol}`,
  path,
  query: FieldsQuery,
  reply: LocationBatch,
  errors: { M_NOT_FOUND: 404 },
})

export const queryUserByProtocol = endpoint({
  ...common,
  operationId: 'queryUserByProtocol',
  url: `${base}/user/{protocol}`,
  path,
  query: FieldsQuery,
  reply: UserBatch,
  errors: { M_NOT_FOUND: 404 },
})

export const queryLocationByAlias = endpoint({
  ...common,
  operationId: 'queryLocationByAlias',
  url: `${base}/location`,
  path: none,
  query: Type.Object({ alias: Type.String() }),
  reply: LocationBatch,
  errors: { M_NOT_FOUND: 404 },
})

export const queryUserByID = endpoint({
  ...common,
  operationId: 'queryUserByID',
  url: `${base}/user`,
  path: none,
  query: Type.Object({ userid: Type.String() }),
  reply: UserBatch,
  errors: { M_NOT_FOUND: 404 },
})
