/**
 * What OAuth clients call, at the URLs that the server metadata names. Forms and errors are those of the RFCs, so bodies are read
 * by the handlers. Spec: client-server-api §OAuth 2.0 API.
 */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const form = {
  method: 'POST',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: 'stream',
  errors: {},
  unstable: 'OAuth 2.0: the specification names no URLs',
} as const

const Granted = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal('Bearer'),
  expires_in: Type.Integer(),
  refresh_token: Type.String(),
  scope: Type.String(),
})

/** RFC 7591. The body is JSON. */
export const registerOAuthClient = endpoint({
  ...form,
  operationId: 'registerOAuthClient',
  url: '/oauth/clients',
  reply: Type.Object({ client_id: Type.String() }, { additionalProperties: true }),
})

/** RFC 6749 §3.2. */
export const grantOAuthTokens = endpoint({
  ...form,
  operationId: 'grantOAuthTokens',
  url: '/oauth/token',
  reply: Granted,
})

/** RFC 7009. */
export const revokeOAuthToken = endpoint({
  ...form,
  operationId: 'revokeOAuthToken',
  url: '/oauth/revoke',
  reply: Type.Object({}),
})

/** RFC 8628 §3.1. */
export const authorizeOAuthDevice = endpoint({
  ...form,
  operationId: 'authorizeOAuthDevice',
  url: '/oauth/device',
  reply: Type.Object({
    device_code: Type.String(),
    user_code: Type.String(),
    verification_uri: Type.String(),
    verification_uri_complete: Type.String(),
    expires_in: Type.Integer(),
    interval: Type.Integer(),
  }),
})
