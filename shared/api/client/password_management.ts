import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { EmailValidationRequest, MsisdnValidationRequest, RequestTokenReply } from '../email-validation.ts'
import { endpoint } from '../endpoint.ts'

/** A new password. Spec: data/api/client-server/password_management.yaml. */
export const changePassword = endpoint({
  operationId: 'changePassword',
  method: 'POST',
  url: '/_matrix/client/v3/account/password',
  auth: 'accessToken?',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    new_password: Type.String(),
    logout_devices: Type.Optional(Type.Boolean()),
    auth: Type.Optional(AuthData),
  }),
  reply: Type.Object({}),
  errors: { M_WEAK_PASSWORD: 400, M_FORBIDDEN: 403 },
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

export const requestTokenToResetPasswordEmail = endpoint({
  ...requestToken,
  operationId: 'requestTokenToResetPasswordEmail',
  url: '/_matrix/client/v3/account/password/email/requestToken',
  body: EmailValidationRequest,
})

export const requestTokenToResetPasswordMSISDN = endpoint({
  ...requestToken,
  operationId: 'requestTokenToResetPasswordMSISDN',
  url: '/_matrix/client/v3/account/password/msisdn/requestToken',
  body: MsisdnValidationRequest,
})
