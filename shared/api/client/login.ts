/** Logging in. Spec: data/api/client-server/login.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { LoginReply } from '../session-reply.ts'

export const getLoginFlows = endpoint({
  operationId: 'getLoginFlows',
  method: 'GET',
  url: '/_matrix/client/v3/login',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    flows: Type.Array(
      Type.Object({
        type: Type.String(),
        get_login_token: Type.Optional(Type.Boolean()),
        oauth_aware_preferred: Type.Optional(Type.Boolean()),
      }),
    ),
  }),
  errors: {},
})

export const login = endpoint({
  operationId: 'login',
  method: 'POST',
  url: '/_matrix/client/v3/login',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    type: Type.String(),
    identifier: Type.Optional(Type.Object({ type: Type.Optional(Type.String()) })),
    user: Type.Optional(Type.String()),
    medium: Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
    password: Type.Optional(Type.String()),
    token: Type.Optional(Type.String()),
    device_id: Type.Optional(Type.String()),
    initial_device_display_name: Type.Optional(Type.String()),
    refresh_token: Type.Optional(Type.Boolean()),
  }),
  reply: LoginReply,
  errors: { M_UNKNOWN: 400, M_MISSING_PARAM: 400, M_FORBIDDEN: 403, M_USER_DEACTIVATED: 403 },
})
