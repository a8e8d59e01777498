/** Registering. Spec: data/api/client-server/registration.yaml. */
import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { EmailValidationRequest, MsisdnValidationRequest, RequestTokenReply } from '../email-validation.ts'
import { endpoint } from '../endpoint.ts'
import { RegistrationReply } from '../session-reply.ts'

export const register = endpoint({
  operationId: 'register',
  method: 'POST',
  url: '/_matrix/client/v3/register',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({ kind: Type.Optional(Type.Union([Type.Literal('guest'), Type.Literal('user')])) }),
  body: Type.Object({
    auth: Type.Optional(AuthData),
    /** `m.login.application_service`, for those. */
    type: Type.Optional(Type.String()),
    username: Type.Optional(Type.String()),
    password: Type.Optional(Type.String()),
    device_id: Type.Optional(Type.String()),
    initial_device_display_name: Type.Optional(Type.String()),
    inhibit_login: Type.Optional(Type.Boolean()),
    refresh_token: Type.Optional(Type.Boolean()),
    /** Of the guest who becomes this account. Spec: §Guest Access. */
    guest_access_token: Type.Optional(Type.String()),
  }),
  reply: RegistrationReply,
  errors: {
    M_USER_IN_USE: 400,
    M_THREEPID_IN_USE: 400,
    M_INVALID_USERNAME: 400,
    M_EXCLUSIVE: 400,
    M_APPSERVICE_LOGIN_UNSUPPORTED: 400,
    M_FORBIDDEN: 403,
    M_GUEST_ACCESS_FORBIDDEN: 403,
  },
})

export const checkUsernameAvailability = endpoint({
  operationId: 'checkUsernameAvailability',
  method: 'GET',
  url: '/_matrix/client/v3/register/available',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({ username: Type.String() }),
  body: null,
  reply: Type.Object({ available: Type.Boolean() }),
  errors: { M_USER_IN_USE: 400, M_INVALID_USERNAME: 400, M_EXCLUSIVE: 400, M_FORBIDDEN: 403 },
})

const requestToken = {
  method: 'POST',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  reply: RequestTokenReply,
  errors: { M_INVALID_PARAM: 400, M_THREEPID_DENIED: 403 },
} as const

export const requestTokenToRegisterEmail = endpoint({
  ...requestToken,
  operationId: 'requestTokenToRegisterEmail',
  url: '/_matrix/client/v3/register/email/requestToken',
  body: EmailValidationRequest,
})

export const requestTokenToRegisterMSISDN = endpoint({
  ...requestToken,
  operationId: 'requestTokenToRegisterMSISDN',
  url: '/_matrix/client/v3/register/msisdn/requestToken',
  body: MsisdnValidationRequest,
})
