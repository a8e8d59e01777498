/** The `Authorization` header of signed requests, and the text that is signed. Spec: server-server-api §Request Authentication. */
import { isServerName } from '../../shared/matrix/server-name.ts'
import { canonicalJson } from '../protocol/canonical-json.ts'
import type { Json } from '../protocol/pdu.ts'
import { signText } from '../protocol/signing.ts'
import type { SigningKey } from '../protocol/signing-key.ts'

/** What such a header says. Nothing of it is proven. */
export interface XMatrix {
  readonly origin: string
  /** Old servers leave it out. */
  readonly destination: string | undefined
  readonly keyId: string
  readonly signature: string
}

const MAX_HEADER_LENGTH = 4_096
const SCHEME = /^X-Matrix[ \t]+/i
/**
 * One parameter and what ends it. Values without quotes may be more than a token: old servers leave the quotes out around
 * colons, and Base64 has a slash.
 */
const PARAMETER = /[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",\\]+))[ \t]*(?:,|$)/y
const EMPTY_ELEMENT = /[ \t]*(?:,|$)/y

/** @returns `undefined` for what is no such header, or lacks something, or says something twice */
export function parseXMatrix(header: string): XMatrix | undefined {
  const scheme = SCHEME.exec(header)
  if (!scheme || header.length > MAX_HEADER_LENGTH) return undefined
  const parameters = parseParameters(header, scheme[0].length)
  const origin = parameters?.get('origin')
  const keyId = parameters?.get('key')
  // The section's list of parameters calls it `signature`; its example, and all servers, `sig`.
  const signature = parameters?.get('sig') ?? parameters?.get('signature')
  if (origin === undefined || !isServerName(origin) || keyId === undefined || signature === undefined) return undefined
  return { origin, destination: parameters?.get('destination'), keyId, signature }
}

function parseParameters(header: string, start: number): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>()
  let at = start
  while (at < header.length) {
    PARAMETER.lastIndex = at
    const match = PARAMETER.exec(header)
    if (match) {
      const name = (match[1] as string).toLowerCase()
      if (found.has(name)) return undefined
      found.set(name, match[2]?.replace(/\\(.)/g, '$1') ?? (match[3] as string))
    } else {
      EMPTY_ELEMENT.lastIndex = at
      if (!EMPTY_ELEMENT.test(header)) return undefined
    }
    at = match ? PARAMETER.lastIndex : EMPTY_ELEMENT.lastIndex
  }
  return found
}

/** What a request's signature is over. */
export interface RequestToSign {
  readonly method: string
  /** Path and query. */
  readonly uri: string
  readonly origin: string
  readonly destination: string
  /** Canonical JSON of the body; `undefined` where there is none. */
  readonly contentText: string | undefined
}

/** The canonical JSON that is signed; the body, which may be large, is put in as it is. */
export function requestText({ method, uri, origin, destination, contentText }: RequestToSign): string {
  const text = canonicalJson({ method, uri, origin, destination })
  return contentText === undefined ? text : `{"content":${contentText},${text.slice(1)}`
}

/**
 * The canonical JSON of a request's body. Bodies hold events of all room versions, so numbers may be any.
 * @throws CanonicalJsonError
 */
export const contentTextOf = (content: Json): string => canonicalJson(content, false)

/** The header's value for a request of ours, written as old servers can read it. */
export function authorizationOf(request: RequestToSign, key: SigningKey): string {
  const { origin, destination } = request
  const signature = signText(requestText(request), key)
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key.keyId}",sig="${signature}"`
}
