/** Account data. Spec: data/api/client-server/account-data.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const OwnPath = Type.Object({ userId: UserId, type: Type.String() })
const RoomPath = Type.Object({ userId: UserId, roomId: RoomId, type: Type.String() })
const ownUrl = '/_matrix/client/v3/user/{userId}/account_data/{type}'
const roomUrl = '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}'
const write = {
  method: 'PUT',
  auth: 'accessToken',
  rateLimited: false,
  query: none,
  body: AnyObject,
  reply: none,
} as const
const read = {
  method: 'GET',
  auth: 'accessToken',
  rateLimited: false,
  query: none,
  body: null,
  reply: AnyObject,
} as const
const writeErrors = { M_NOT_JSON: 400, M_FORBIDDEN: 403, M_BAD_JSON: 405, M_TOO_LARGE: 413 } as const
const readErrors = { M_FORBIDDEN: 403, M_NOT_FOUND: 404 } as const

export const setAccountData = endpoint({
  ...write,
  operationId: 'setAccountData',
  url: ownUrl,
  path: OwnPath,
  errors: writeErrors,
})

export const getAccountData = endpoint({
  ...read,
  operationId: 'getAccountData',
  url: ownUrl,
  path: OwnPath,
  errors: readErrors,
})

export const setAccountDataPerRoom = endpoint({
  ...write,
  operationId: 'setAccountDataPerRoom',
  url: roomUrl,
  path: RoomPath,
  errors: { ...writeErrors, M_INVALID_PARAM: 400 },
})

export const getAccountDataPerRoom = endpoint({
  ...read,
  operationId: 'getAccountDataPerRoom',
  url: roomUrl,
  path: RoomPath,
  errors: { ...readErrors, M_INVALID_PARAM: 400 },
})
