/** What an application service knows of its third-party networks. Spec: data/api/application-service/protocols.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { FieldsQuery, LocationBatch, Protocol, UserBatch } from '../third-party.ts'

const base = '/_matrix/app/v1/thirdparty'
const legacy = '/_matrix/app/unstable/thirdparty'
const common = {
  method: 'GET',
  auth: 'homeserverAccessToken',
  rateLimited: false,
  body: null,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
} as const
const path = Type.Object({ protocol: Type.String() })

export const getProtocolMetadata = endpoint({
  ...common,
  operationId: 'getProtocolMetadata',
  url: `${base}/protocol/{protocol}`,
  aliases: [`${legacy}/protocol/{protocol}`],
  path,
  query: Type.Object({}),
  reply: Protocol,
})

export const queryUserByProtocol = endpoint({
  ...common,
  operationId: 'queryUserByProtocol',
  url: `${base}/user/{protocol}`,
  aliases: [`${legacy}/user/{protocol}`],
  path,
  query: FieldsQuery,
  reply: UserBatch,
})

export const queryLocationByProtocol = endpoint({
  ...common,
  operationId: 'queryLocationByProtocol',
  url: `${base}/location/{protocol}`,
  aliases: [`${legacy}/location/{protocol}`],
  path,
  query: FieldsQuery,
  reply: LocationBatch,
})

export const queryLocationByAlias = endpoint({
  ...common,
  operationId: 'queryLocationByAlias',
  url: `${base}/location`,
  aliases: [`${legacy}/location`],
  path: Type.Object({}),
  query: Type.Object({ alias: Type.Optional(Type.String()) }),
  reply: LocationBatch,
})

export const queryUserByID = endpoint({
  ...common,
  operationId: 'queryUserByID',
  url: `${base}/user`,
  aliases: [`${legacy}/user`],
  path: Type.Object({}),
  query: Type.Object({ userid: Type.Optional(Type.String()) }),
  reply: UserBatch,
})
