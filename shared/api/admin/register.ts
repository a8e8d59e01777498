/**
 * Registration by shared secret: the path that other homeservers' provisioning tools already use.
 * Not in the specification; nonces and the signature are described in interop/server-process.md.
 */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'
import { LoginReply } from '../session-reply.ts'

const url = '/_synapse/admin/v1/register'
const common = { url, auth: 'none', rateLimited: true, path: Type.Object({}), query: Type.Object({}) } as const

export const getRegistrationNonce = endpoint({
  ...common,
  operationId: 'getRegistrationNonce',
  method: 'GET',
  body: null,
  /** Valid for 60 s and one use. */
  reply: Type.Object({ nonce: Type.String() }),
  errors: {},
  unstable: 'shared-secret registration',
})

export const registerBySharedSecret = endpoint({
  ...common,
  operationId: 'registerBySharedSecret',
  method: 'POST',
  body: Type.Object({
    nonce: Type.String(),
    username: Type.String(),
    password: Type.String(),
    admin: Type.Optional(Type.Boolean()),
    /** Lower-case hex HMAC-SHA1, keyed with the secret, of nonce, username, password and `admin` or `notadmin`, joined by NUL. */
    mac: Type.String(),
  }),
  reply: LoginReply,
  errors: { M_INVALID_PARAM: 400, M_INVALID_USERNAME: 400, M_USER_IN_USE: 400, M_FORBIDDEN: 403 },
  unstable: 'shared-secret registration',
})
