import { isDeviceId } from '../../shared/matrix/identifiers.ts'
import { OAuthError } from './errors.ts'

/** Today's names, and those that clients used before the API was in the specification (MSC2967). */
const PREFIXES = ['urn:matrix:client:', 'urn:matrix:org.matrix.msc2967.client:'] as const
/** Longer scopes than this are nobody's. */
const MAX_SCOPE_LENGTH = 2_048
/** RFC 6749 §3.3. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** What a client asks for, and will be granted. */
export interface Scope {
  readonly deviceId: string
  /** Only what we know, in the client's own names. */
  readonly text: string
}

/**
 * The full client-server API for exactly one device. Other scope tokens are left out of what is granted: `openid`, for one, is
 * asked for by many clients, and nothing here gives ID tokens.
 * Spec: client-server-api §Scope; MSC2967 for the older names.
 * @throws OAuthError invalid_scope
 */
export function parseScope(text: string): Scope {
  if (text.length > MAX_SCOPE_LENGTH) throw new OAuthError('invalid_scope', 'The scope is too long')
  const granted: string[] = []
  const deviceIds = new Set<string>()
  let deviceTokens = 0
  let grantsApi = false
  for (const token of new Set(text.split(' '))) {
    const prefix = PREFIXES.find((one) => token.startsWith(one))
    const name = prefix && token.slice(prefix.length)
    if (name === undefined || !SCOPE_TOKEN.test(token)) continue
    if (name === 'api:*') grantsApi = true
    else if (name.startsWith('device:')) {
      deviceIds.add(name.slice('device:'.length))
      deviceTokens += 1
    } else continue
    granted.push(token)
  }
  const [deviceId = ''] = deviceIds
  if (!grantsApi) throw new OAuthError('invalid_scope', 'The scope must have urn:matrix:client:api:*')
  // The same device in both namings is one device.
  if (deviceIds.size !== 1 || deviceTokens > PREFIXES.length) {
    throw new OAuthError('invalid_scope', 'The scope must have exactly one urn:matrix:client:device:<device_id>')
  }
  if (!isDeviceId(deviceId)) throw new OAuthError('invalid_scope', 'The device ID has 1 to 255 bytes')
  return { deviceId, text: granted.join(' ') }
}
