/** Server names. Spec: appendices §Server Name. */

/** A server name taken apart; `hostname` is without the brackets of an IPv6 literal. */
export interface ServerNameParts {
  readonly kind: 'dns' | 'ipv4' | 'ipv6'
  readonly hostname: string
  /** Only where the name has it: 0 to 65535. */
  readonly port?: number
}

const MAX_SERVER_NAME_LENGTH = 255
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const HEX_GROUP = /^[0-9A-Fa-f]{1,4}$/
const DNS_CHARS = /^[0-9A-Za-z.-]+$/
const PORT = /^\d{1,5}$/

/**
 * Takes a server name apart. Names are case-sensitive, so nothing is lower-cased. DNS names may hold any of the
 * grammar's characters, in any order: empty labels are only recommended against, and events that name such servers exist.
 *
 * @returns `undefined` where the text is not a server name (1 to 255 characters of the grammar)
 */
export function parseServerName(name: string): ServerNameParts | undefined {
  if (name.length === 0 || name.length > MAX_SERVER_NAME_LENGTH) return undefined
  const isLiteral6 = name.charCodeAt(0) === 0x5b
  const hostEnd = isLiteral6 ? name.indexOf(']') + 1 : name.includes(':') ? name.indexOf(':') : name.length
  if (hostEnd === 0) return undefined

  const rest = name.slice(hostEnd)
  const portText = rest.startsWith(':') ? rest.slice(1) : undefined
  if (rest !== '' && (portText === undefined || !PORT.test(portText) || Number(portText) > 65_535)) return undefined
  const port = portText === undefined ? {} : { port: Number(portText) }

  const host = name.slice(0, hostEnd)
  if (isLiteral6) {
    const address = host.slice(1, -1)
    return isIpv6Literal(address) ? { kind: 'ipv6', hostname: address, ...port } : undefined
  }
  const quad = IPV4.exec(host)
  // Four numbers with dots between are meant as an address, so 256.0.0.1 is no DNS name either.
  if (quad)
    return quad.slice(1).every((part) => Number(part) <= 255) ? { kind: 'ipv4', hostname: host, ...port } : undefined
  return DNS_CHARS.test(host) ? { kind: 'dns', hostname: host, ...port } : undefined
}

export function isServerName(name: string): boolean {
  return parseServerName(name) !== undefined
}

/** Whether the text is an IPv6 address as RFC 3513 section 2.2 writes it (without brackets, without a zone). */
export function isIpv6Literal(text: string): boolean {
  if (text.length < 2 || text.length > 45) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const [half, part] of halves.entries()) {
    if (part === '') {
      if (halves.length === 1) return false
      continue
    }
    const pieces = part.split(':')
    for (const [i, piece] of pieces.entries()) {
      const isLast = half === halves.length - 1 && i === pieces.length - 1
      if (HEX_GROUP.test(piece)) groups += 1
      else if (isLast && isIpv4Literal(piece)) groups += 2
      else return false
    }
  }
  // `::` stands for at least one group.
  return halves.length === 2 ? groups <= 7 : groups === 8
}

export function isIpv4Literal(text: string): boolean {
  const quad = IPV4.exec(text)
  return quad?.slice(1).every((part) => Number(part) <= 255) ?? false
}
