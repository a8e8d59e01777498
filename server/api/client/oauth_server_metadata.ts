import { getAuthMetadata } from '../../../shared/api/client/oauth_server_metadata.ts'
import { showAccount, showAuthorization } from '../../../shared/api/oauth/pages.ts'
import {
  authorizeOAuthDevice,
  grantOAuthTokens,
  registerOAuthClient,
  revokeOAuthToken,
} from '../../../shared/api/oauth/protocol.ts'
import { unrecognized } from '../../../shared/matrix/errors.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import { GRANT_TYPES } from '../../oauth/index.ts'
import { ACCOUNT_ACTIONS, OLDER_ACCOUNT_ACTIONS } from '../oauth/account-actions.ts'

/** How long clients may go on with what they know. */
const MAX_AGE_S = 600

/** @param baseUrl where clients reach the server, known once the listeners are bound; `null`: it serves no clients */
export const oauthServerMetadataRoutes = (baseUrl: () => string | null): readonly Route[] => [
  route(getAuthMetadata, async () => {
    const base = baseUrl()
    if (base === null) throw unrecognized()
    const accountUri = base + showAccount.url
    const metadata = {
      issuer: issuerOf(base),
      authorization_endpoint: base + showAuthorization.url,
      token_endpoint: base + grantOAuthTokens.url,
      revocation_endpoint: base + revokeOAuthToken.url,
      registration_endpoint: base + registerOAuthClient.url,
      device_authorization_endpoint: base + authorizeOAuthDevice.url,
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment'],
      grant_types_supported: GRANT_TYPES,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      authorization_response_iss_parameter_supported: true,
      prompt_values_supported: ['create', 'login'],
      account_management_uri: accountUri,
      account_management_actions_supported: ACCOUNT_ACTIONS,
      // MSC4191, as clients of before v1.18 look for it.
      'org.matrix.msc4191.account_management_uri': accountUri,
      'org.matrix.msc4191.account_management_actions_supported': [...ACCOUNT_ACTIONS, ...OLDER_ACCOUNT_ACTIONS],
    }
    const headers = { 'cache-control': `public, max-age=${MAX_AGE_S}` }
    return new Reply({ headers, body: JSON.stringify(metadata) })
  }),
]

/** Spec: RFC 8414 §2. */
export const issuerOf = (baseUrl: string): string => `${baseUrl}/`
