import { OAuthError } from './errors.ts'

export type ApplicationType = 'web' | 'native'

const MAX_URI_LENGTH = 2_048
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * A URI as it will stand in a `Location` header: printable ASCII, and nothing that parsers of URLs mend silently.
 * @returns `undefined` for everything else
 */
export function parseUri(text: string): URL | undefined {
  if (text.length > MAX_URI_LENGTH || !/^[\x21-\x7e]+$/.test(text) || /[\\"<>^`{|}]/.test(text)) return undefined
  return URL.canParse(text) ? new URL(text) : undefined
}

/** An `https` URL with a host and nobody's name or password in it. */
export function parseHttpsUrl(text: string): URL | undefined {
  const url = parseUri(text)
  if (!url || !/^https:\/\/[^/?#@]+/i.test(text) || url.protocol !== 'https:') return undefined
  return url.username === '' && url.password === '' ? url : undefined
}

/** On the client URI's host, or on a subdomain of it. Spec: data/schemas/oauth2-client-metadata.yaml, `client_uri`. */
export function hasCommonBase(url: URL, clientUri: URL): boolean {
  return url.hostname === clientUri.hostname || url.hostname.endsWith(`.${clientUri.hostname}`)
}

/**
 * Spec: client-server-api §Redirect URI validation; RFC 8252 §7.
 * @throws OAuthError invalid_redirect_uri
 */
export function requireRedirectUri(text: string, applicationType: ApplicationType, clientUri: URL): void {
  const uri = parseUri(text)
  const fault = uri ? faultOf(text, uri, applicationType, clientUri) : 'is no URI'
  if (fault) throw new OAuthError('invalid_redirect_uri', `A redirect URI ${fault}`)
}

function faultOf(text: string, uri: URL, applicationType: ApplicationType, clientUri: URL): string | undefined {
  if (text.includes('#')) return 'has a fragment'
  if (/^https:/i.test(text)) {
    const url = parseHttpsUrl(text)
    return url && hasCommonBase(url, clientUri) ? undefined : 'is not on the host of the client URI'
  }
  if (applicationType === 'web') return 'of a web client is not https'
  return uri.protocol === 'http:' ? loopbackFault(text, uri) : schemeFault(text, uri, clientUri)
}

function loopbackFault(text: string, uri: URL): string | undefined {
  const host = /^http:\/\/([^/?#]*)/i.exec(text)?.[1] ?? ''
  if (uri.username !== '' || uri.password !== '' || !LOOPBACK.has(uri.hostname))
    return 'with http is not on the loopback'
  return host.toLowerCase() === uri.hostname ? undefined : 'on the loopback names a port'
}

function schemeFault(text: string, uri: URL, clientUri: URL): string | undefined {
  const scheme = uri.protocol.slice(0, -1)
  const reversed = clientUri.hostname.split('.').reverse().join('.')
  // Without a dot it could be a scheme that means something, `javascript` above all.
  if (!reversed.includes('.') || !(scheme === reversed || scheme.startsWith(`${reversed}.`))) {
    return 'has a scheme that is not the host of the client URI in reverse'
  }
  return text.slice(scheme.length + 1).startsWith('//') ? 'with a scheme of its own has an authority' : undefined
}

/**
 * Whether the URI of a request is the registered one: the same text, but for the port of a loopback URI, which a native app
 * only knows when it runs. Spec: client-server-api §Redirect URI validation, native clients, 2.
 */
export function matchesRedirectUri(text: string, registered: string): boolean {
  if (text === registered) return true
  const base = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[/?]|$)/i.exec(registered)?.[0]
  if (base === undefined || !text.startsWith(base)) return false
  const port = /^:(\d{1,5})(?=[/?]|$)/.exec(text.slice(base.length))
  if (!port || Number(port[1]) > 65_535) return false
  return text.slice(base.length + port[0].length) === registered.slice(base.length) && parseUri(text) !== undefined
}
