import { describe, expect, it } from 'vitest'
import { AddressGuard } from '../../server/net/index.ts'

describe('interop/server-process §Configuration, outbound.allow_addresses', () => {
  const closed = new AddressGuard([])

  it.each(['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1'])(
    'lets requests go to %s',
    (address) => expect(closed.allows(address)).toBe(true),
  )

  it.each([
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['loopback', '::1'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '192.168.1.1'],
    ['unique local', 'fd12:3456::1'],
    ['link-local, where clouds keep their secrets', '169.254.169.254'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['this network', '0.0.0.0'],
    ['unspecified', '::'],
    ['broadcast', '255.255.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', 'ff02::1'],
    ['reserved', '240.0.0.1'],
    ['documentation', '192.0.2.1'],
    ['documentation', '2001:db8::1'],
    ['benchmarks', '198.18.0.1'],
    ['site-local', 'fec0::1'],
    ['loopback, mapped', '::ffff:127.0.0.1'],
    ['private, mapped in hex', '::ffff:a00:1'],
    ['loopback, translated', '64:ff9b::7f00:1'],
    ['the local NAT64', '64:ff9b:1::808:808'],
    ['private, by 6to4', '2002:a00:1::1'],
    ['loopback, IPv4-compatible', '::7f00:1'],
    ['Teredo', '2001::1'],
    ['no address', 'localhost'],
    ['nothing', ''],
  ])('refuses %s: %s', (_what, address) => expect(closed.allows(address)).toBe(false))

  it('lets them go to what is listed, and to nothing beside it', () => {
    const open = new AddressGuard(['127.0.0.0/8', 'fd00::/8'])
    expect(open.allows('127.0.0.11')).toBe(true)
    expect(open.allows('::ffff:127.0.0.11')).toBe(true)
    expect(open.allows('fd00::1')).toBe(true)
    expect(open.allows('10.0.0.1')).toBe(false)
    expect(open.allows('::1')).toBe(false)
  })
})
