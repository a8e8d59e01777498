/** Addresses of an account. Spec: data/api/client-server/administrative_contact.yaml. */
import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { EmailValidationRequest, MsisdnValidationRequest, RequestTokenReply } from '../email-validation.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_matrix/client/v3/account/3pid'
const shared = { method: 'POST', auth: 'accessToken', path: none, query: none } as const
const Medium = Type.Enum(['email', 'msisdn'])
const UnbindReply = Type.Object({ id_server_unbind_result: Type.Enum(['no-support', 'success']) })

export const getAccount3PIDs = endpoint({
  ...shared,
  operationId: 'getAccount3PIDs',
  method: 'GET',
  url,
  rateLimited: false,
  body: null,
  reply: Type.Object({
    threepids: Type.Array(
      Type.Object({
        medium: Medium,
        address: Type.String(),
        /** Milliseconds since the epoch, as `added_at`. */
        validated_at: Type.Integer(),
        added_at: Type.Integer(),
      }),
    ),
  }),
  errors: {},
})

/** Deprecated: adds what an identity server has validated. */
export const post3PIDs = endpoint({
  ...shared,
  operationId: 'post3PIDs',
  url,
  rateLimited: false,
  body: Type.Object({
    three_pid_creds: Type.Object({
      client_secret: Type.String(),
      id_server: Type.String(),
      id_access_token: Type.String(),
      sid: Type.String(),
    }),
  }),
  reply: Type.Object({ submit_url: Type.Optional(Type.String()) }),
  errors: { M_THREEPID_AUTH_FAILED: 403 },
})

export const add3PID = endpoint({
  ...shared,
  operationId: 'add3PID',
  url: `${url}/add`,
  rateLimited: true,
  body: Type.Object({ auth: Type.Optional(AuthData), client_secret: Type.String(), sid: Type.String() }),
  reply: none,
  errors: { M_THREEPID_AUTH_FAILED: 400, M_THREEPID_IN_USE: 400, M_INVALID_PARAM: 400 },
})

export const bind3PID = endpoint({
  ...shared,
  operationId: 'bind3PID',
  url: `${url}/bind`,
  rateLimited: true,
  body: Type.Object({
    client_secret: Type.String(),
    id_server: Type.String(),
    id_access_token: Type.String(),
    sid: Type.String(),
  }),
  reply: none,
  errors: { M_SERVER_NOT_TRUSTED: 400 },
})

export const delete3pidFromAccount = endpoint({
  ...shared,
  operationId: 'delete3pidFromAccount',
  url: `${url}/delete`,
  rateLimited: false,
  body: Type.Object({ id_server: Type.Optional(Type.String()), medium: Medium, address: Type.String() }),
  reply: UnbindReply,
  errors: {},
})

export const unbind3pidFromAccount = endpoint({
  ...shared,
  operationId: 'unbind3pidFromAccount',
  url: `${url}/unbind`,
  rateLimited: false,
  body: Type.Object({ id_server: Type.Optional(Type.String()), medium: Medium, address: Type.String() }),
  reply: UnbindReply,
  errors: {},
})

const requestToken = { ...shared, auth: 'none', rateLimited: false, reply: RequestTokenReply } as const
const errors = { M_THREEPID_MEDIUM_NOT_SUPPORTED: 400, M_INVALID_PARAM: 400, M_THREEPID_DENIED: 403 }

export const requestTokenTo3PIDEmail = endpoint({
  ...requestToken,
  operationId: 'requestTokenTo3PIDEmail',
  url: `${url}/email/requestToken`,
  body: EmailValidationRequest,
  errors,
})

export const requestTokenTo3PIDMSISDN = endpoint({
  ...requestToken,
  operationId: 'requestTokenTo3PIDMSISDN',
  url: `${url}/msisdn/requestToken`,
  body: MsisdnValidationRequest,
  errors,
})
