import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const Texts = Type.Array(Type.String())

/**
 * The OAuth 2.0 authorization server metadata. Spec: data/api/client-server/oauth_server_metadata.yaml; MSC2965 for the older
 * URL; RFC 8414 §3 for the one that clients of OAuth in general look at.
 */
export const getAuthMetadata = endpoint({
  operationId: 'getAuthMetadata',
  method: 'GET',
  url: '/_matrix/client/v1/auth_metadata',
  aliases: ['/_matrix/client/unstable/org.matrix.msc2965/auth_metadata', '/.well-known/oauth-authorization-server'],
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    issuer: Type.String(),
    authorization_endpoint: Type.String(),
    token_endpoint: Type.String(),
    revocation_endpoint: Type.String(),
    registration_endpoint: Type.String(),
    response_types_supported: Texts,
    grant_types_supported: Texts,
    response_modes_supported: Texts,
    code_challenge_methods_supported: Texts,
    prompt_values_supported: Type.Optional(Texts),
    account_management_uri: Type.Optional(Type.String()),
    account_management_actions_supported: Type.Optional(Texts),
    device_authorization_endpoint: Type.Optional(Type.String()),
  }),
  errors: { M_UNRECOGNIZED: 404 },
})
