/** Logging out. Spec: data/api/client-server/logout.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const common = {
  method: 'POST',
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({}),
  errors: {},
} as const

export const logout = endpoint({ ...common, operationId: 'logout', url: '/_matrix/client/v3/logout' })

export const logout_all = endpoint({ ...common, operationId: 'logout_all', url: '/_matrix/client/v3/logout/all' })
