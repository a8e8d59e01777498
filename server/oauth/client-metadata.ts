import { OAuthError } from './errors.ts'
import { type ApplicationType, hasCommonBase, parseHttpsUrl, requireRedirectUri } from './redirect-uri.ts'

export const AUTHORIZATION_CODE = 'authorization_code'
export const REFRESH_TOKEN = 'refresh_token'
export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
export const GRANT_TYPES: readonly string[] = [AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE]

const MAX_REDIRECT_URIS = 32
/** Characters; a longer name would not fit into the page that shows it. */
const MAX_NAME_LENGTH = 100

/** What is registered of a client, in the words of RFC 7591. */
export interface ClientMetadata {
  readonly client_uri: string
  readonly client_name?: string
  readonly logo_uri?: string
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly redirect_uris: readonly string[]
  readonly response_types: readonly string[]
  readonly grant_types: readonly string[]
  readonly token_endpoint_auth_method: 'none'
  readonly application_type: ApplicationType
}

const invalid = (message: string): OAuthError => new OAuthError('invalid_client_metadata', message)

/**
 * What we register of what a client says of itself. Values that we do not know are left out, as are names in other languages.
 * Spec: client-server-api §Client metadata; data/schemas/oauth2-client-metadata.yaml.
 * @throws OAuthError invalid_client_metadata, invalid_redirect_uri
 */
export function readClientMetadata(said: Readonly<Record<string, unknown>>): ClientMetadata {
  const clientUri = parseHttpsUrl(textOf(said, 'client_uri') ?? '')
  if (!clientUri) throw invalid("'client_uri' must be an https URL without a user")
  const applicationType = textOf(said, 'application_type') ?? 'web'
  if (applicationType !== 'web' && applicationType !== 'native')
    throw invalid("'application_type' must be web or native")
  // Nobody can keep a secret that everybody can register for.
  if ((textOf(said, 'token_endpoint_auth_method') ?? 'none') !== 'none') {
    throw invalid("'token_endpoint_auth_method' must be none")
  }
  const grantTypes = (textsOf(said, 'grant_types') ?? [AUTHORIZATION_CODE]).filter((type) => GRANT_TYPES.includes(type))
  const responseTypes = (textsOf(said, 'response_types') ?? ['code']).filter((type) => type === 'code')
  const redirectUris = textsOf(said, 'redirect_uris') ?? []
  requireGrants(grantTypes, responseTypes, redirectUris)
  for (const uri of redirectUris) requireRedirectUri(uri, applicationType, clientUri)

  const name = nameOf(said)
  return {
    client_uri: textOf(said, 'client_uri') ?? '',
    ...(name !== undefined && { client_name: name }),
    ...linkOf(said, 'logo_uri', clientUri),
    ...linkOf(said, 'tos_uri', clientUri),
    ...linkOf(said, 'policy_uri', clientUri),
    redirect_uris: [...new Set(redirectUris)].sort(),
    response_types: [...new Set(responseTypes)],
    grant_types: GRANT_TYPES.filter((type) => grantTypes.includes(type)),
    token_endpoint_auth_method: 'none',
    application_type: applicationType,
  }
}

function requireGrants(
  grantTypes: readonly string[],
  responseTypes: readonly string[],
  redirectUris: readonly string[],
): void {
  if (!grantTypes.some((type) => type !== REFRESH_TOKEN))
    throw invalid("'grant_types' has none that begins a session here")
  if (redirectUris.length > MAX_REDIRECT_URIS) throw invalid(`At most ${MAX_REDIRECT_URIS} redirect URIs`)
  if (!grantTypes.includes(AUTHORIZATION_CODE)) return
  if (responseTypes.length === 0) throw invalid("'response_types' must have code")
  if (redirectUris.length === 0) {
    throw new OAuthError('invalid_redirect_uri', 'The authorization code grant needs a redirect URI')
  }
}

function textOf(said: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = Object.hasOwn(said, key) ? said[key] : undefined
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw invalid(`'${key}' must be a string`)
  return value
}

function textsOf(said: Readonly<Record<string, unknown>>, key: string): readonly string[] | undefined {
  const value = Object.hasOwn(said, key) ? said[key] : undefined
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw invalid(`'${key}' must be a list of strings`)
  }
  return value
}

/** The name without what would make it look like something else: control characters, and those that turn the reading direction. */
function nameOf(said: Readonly<Record<string, unknown>>): string | undefined {
  const name = textOf(said, 'client_name')
    ?.normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ')
    .trim()
  return name ? [...name].slice(0, MAX_NAME_LENGTH).join('') : undefined
}

function linkOf(
  said: Readonly<Record<string, unknown>>,
  key: string,
  clientUri: URL,
): Readonly<Record<string, string>> {
  const text = textOf(said, key)
  if (text === undefined) return {}
  const url = parseHttpsUrl(text)
  if (!url || !hasCommonBase(url, clientUri))
    throw invalid(`'${key}' must be an https URL on the host of the client URI`)
  return { [key]: text }
}
