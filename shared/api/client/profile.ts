/** Profiles. Spec: data/api/client-server/profile.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
/** What a key may be is checked behind the edge, since a bad one has an error code of its own. */
const FieldPath = Type.Object({ userId: UserId, keyName: Type.String() })
const fieldUrl = '/_matrix/client/v3/profile/{userId}/{keyName}'
const badField = { M_INVALID_PARAM: 400, M_KEY_TOO_LARGE: 400, M_FORBIDDEN: 403 } as const

export const setProfileField = endpoint({
  operationId: 'setProfileField',
  method: 'PUT',
  url: fieldUrl,
  auth: 'accessToken',
  rateLimited: true,
  path: FieldPath,
  query: none,
  body: AnyObject,
  reply: none,
  errors: { ...badField, M_BAD_JSON: 400, M_MISSING_PARAM: 400, M_PROFILE_TOO_LARGE: 400 },
})

export const getProfileField = endpoint({
  operationId: 'getProfileField',
  method: 'GET',
  url: fieldUrl,
  auth: 'none',
  rateLimited: false,
  path: FieldPath,
  query: none,
  body: null,
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

export const deleteProfileField = endpoint({
  operationId: 'deleteProfileField',
  method: 'DELETE',
  url: fieldUrl,
  auth: 'accessToken',
  rateLimited: true,
  path: FieldPath,
  query: none,
  body: null,
  reply: none,
  errors: badField,
})

export const getUserProfile = endpoint({
  operationId: 'getUserProfile',
  method: 'GET',
  url: '/_matrix/client/v3/profile/{userId}',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: none,
  body: null,
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
