/** Whether a user should exist. Spec: data/api/application-service/query_user.yaml. */
import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

export const queryUserById = endpoint({
  operationId: 'queryUserById',
  method: 'GET',
  url: '/_matrix/app/v1/users/{userId}',
  aliases: ['/users/{userId}'],
  auth: 'homeserverAccessToken',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
