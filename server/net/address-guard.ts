import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** An address that outgoing requests must not go to. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
  constructor(host: string) {
    super(`${host} has no public address, and outbound.allow_addresses does not list it`)
  }
}

/** Says where outgoing requests may go: public addresses, and the ranges that the owner lists. */
export class AddressGuard {
  readonly #allowed: readonly [Address, number][]

  /** @param allowAddresses CIDR of private, loopback and link-local ranges that are allowed nevertheless */
  constructor(allowAddresses: readonly string[]) {
    this.#allowed = allowAddresses.map((cidr) => ipaddr.parseCIDR(cidr))
  }

  /** @param text an IP address of either version, without brackets */
  allows(text: string): boolean {
    if (!ipaddr.isValid(text)) return false
    const address = ipaddr.parse(text)
    if (this.#lists(address)) return true
    const inner = innermost(address)
    if (inner === null) return false
    return inner.range() === 'unicast' || this.#lists(inner)
  }

  #lists(address: Address): boolean {
    return this.#allowed.some(([network, bits]) => address.kind() === network.kind() && address.match(network, bits))
  }
}

/**
 * The address that a packet ends up at: IPv4 inside of mapped (`::ffff:0:0/96`), translated (NAT64 `64:ff9b::/96`) and 6to4
 * (`2002::/16`) addresses. `null` where that cannot be known: Teredo, IPv4-compatible, the local network's own NAT64, zones.
 */
function innermost(address: Address): Address | null {
  if (address instanceof ipaddr.IPv4) return address
  if (address.zoneId) return null
  const bytes = address.toByteArray()
  switch (address.range()) {
    case 'ipv4Mapped':
      return address.toIPv4Address()
    case 'rfc6052':
      return isLocalNat64(bytes) ? null : new ipaddr.IPv4(bytes.slice(12))
    case '6to4':
      return new ipaddr.IPv4(bytes.slice(2, 6))
    default:
      return isIpv4Compatible(bytes) ? null : address
  }
}

/** `::/96`, of which `::` and `::1` are refused anyway. */
function isIpv4Compatible(bytes: readonly number[]): boolean {
  return bytes.slice(0, 12).every((byte) => byte === 0)
}

/** `64:ff9b:1::/48`: which addresses it embeds is known to the local network alone. */
function isLocalNat64(bytes: readonly number[]): boolean {
  return bytes[4] === 0 && bytes[5] === 1
}
