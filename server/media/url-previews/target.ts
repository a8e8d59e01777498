/** Ports above 1,023 that browsers do not speak HTTP to either: others listen there. WHATWG Fetch §Port blocking. */
const BLOCKED_PORTS: ReadonlySet<number> = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
])
const MAX_URL_LENGTH = 4_096

/**
 * A URL that may be fetched for somebody: web pages alone, without credentials, at the ports where such are served. Where
 * its name leads to is not known here; the address guard looks at that.
 * @param base what relative URLs are relative to
 * @returns without its fragment; `undefined` for any other
 */
export function webUrl(text: string, base?: string): URL | undefined {
  if (text.length > MAX_URL_LENGTH || !URL.canParse(text, base)) return undefined
  const url = new URL(text, base)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  if (url.username !== '' || url.password !== '' || url.hostname === '') return undefined
  const port = Number(url.port)
  // The ports of the schemes themselves have become ''.
  const isWebPort = port === 0 || port === 80 || port === 443 || (port >= 1024 && !BLOCKED_PORTS.has(port))
  if (!isWebPort || url.href.length > MAX_URL_LENGTH) return undefined
  url.hash = ''
  return url
}
