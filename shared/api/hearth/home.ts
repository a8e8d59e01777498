/** The home as a whole: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { LoginReply } from '../session-reply.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/home'
const unstable = 'hearth'

/** What people call this home: 1 to 100 characters after spaces around it are cut off. */
const HomeName = Type.String({ minLength: 1, maxLength: 200 })

/** What anyone may know before signing in. */
export const getHome = endpoint({
  operationId: 'getHome',
  method: 'GET',
  url,
  auth: 'none',
  rateLimited: true,
  path: none,
  query: none,
  body: null,
  reply: Type.Object({
    name: Type.Union([Type.String(), Type.Null()]),
    /** Whether somebody has an account here. */
    claimed: Type.Boolean(),
    /** `token`: for those who have a registration token. */
    registration: Type.Enum(['open', 'token', 'closed']),
    server_name: Type.String(),
  }),
  errors: {},
  unstable,
})

/** Makes the first account, which administers the home. Only while there is none, and with the code that the server gave out. */
export const claimHome = endpoint({
  operationId: 'claimHome',
  method: 'POST',
  url: `${url}/claim`,
  auth: 'none',
  rateLimited: true,
  path: none,
  query: none,
  body: Type.Object({
    name: HomeName,
    username: Type.String(),
    password: Type.String(),
    claim_code: Type.String(),
    initial_device_display_name: Type.Optional(Type.String()),
    device_id: Type.Optional(Type.String()),
    refresh_token: Type.Optional(Type.Boolean()),
  }),
  reply: LoginReply,
  errors: { M_INVALID_PARAM: 400, M_INVALID_USERNAME: 400, M_WEAK_PASSWORD: 400, M_FORBIDDEN: 403 },
  unstable,
})

/** Administrators only. */
export const setHome = endpoint({
  operationId: 'setHome',
  method: 'PUT',
  url,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: none,
  body: Type.Object({ name: HomeName }),
  reply: none,
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403 },
  unstable,
})
