import { type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import {
  isCompliantUserId,
  isDeviceId,
  isEventId,
  isMxcUri,
  isNamespacedIdentifier,
  isNewLocalpart,
  isNewUserId,
  isOpaqueIdentifier,
  isRoomAlias,
  isRoomId,
  isRoomIdOfHash,
  isRoomIdWithDomain,
  isRoomVersionId,
  isServerKeyId,
  isServerName,
  isUserId,
  localpartOf,
  parseKeyId,
  parseMxcUri,
  parseServerName,
  parseUserId,
  serverNameOf,
  utf8ByteLength,
} from '../../shared/matrix/identifiers.ts'
import { EventId, MxcUri, RoomAlias, RoomId, RoomIdOrAlias, ServerName, UserId } from '../../shared/matrix/schemas.ts'

const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

describe('appendices §Server Name', () => {
  it.each([
    ['matrix.org', { kind: 'dns', hostname: 'matrix.org' }],
    ['matrix.org:8888', { kind: 'dns', hostname: 'matrix.org', port: 8888 }],
    ['1.2.3.4', { kind: 'ipv4', hostname: '1.2.3.4' }],
    ['1.2.3.4:1234', { kind: 'ipv4', hostname: '1.2.3.4', port: 1234 }],
    ['[1234:5678::abcd]', { kind: 'ipv6', hostname: '1234:5678::abcd' }],
    ['[1234:5678::abcd]:5678', { kind: 'ipv6', hostname: '1234:5678::abcd', port: 5678 }],
    ['localhost', { kind: 'dns', hostname: 'localhost' }],
    ['MATRIX.org', { kind: 'dns', hostname: 'MATRIX.org' }],
    ['1.2.3', { kind: 'dns', hostname: '1.2.3' }],
    ['[::]', { kind: 'ipv6', hostname: '::' }],
    ['[::1]:8448', { kind: 'ipv6', hostname: '::1', port: 8448 }],
    ['[::ffff:192.0.2.1]', { kind: 'ipv6', hostname: '::ffff:192.0.2.1' }],
    ['[1:2:3:4:5:6:7:8]', { kind: 'ipv6', hostname: '1:2:3:4:5:6:7:8' }],
    ['[1:2:3:4:5:6:7::]', { kind: 'ipv6', hostname: '1:2:3:4:5:6:7::' }],
    ['constructor', { kind: 'dns', hostname: 'constructor' }],
  ])('takes %s apart', (name, parts) => {
    expect(parseServerName(name)).toEqual(parts)
  })

  it.each([
    '',
    ':80',
    'matrix.org:',
    'matrix.org:123456',
    'matrix.org:65536',
    'matrix.org:+80',
    'matrix.org:80:90',
    'under_score.org',
    'matrix org',
    'mätrix.org',
    'matrix.org/',
    'user@matrix.org',
    '1.2.3.256',
    '999.1.1.1:80',
    '[]',
    '[::1',
    '::1',
    '[::1]x',
    '[1:2:3:4:5:6:7:8:9]',
    '[1:2:3:4:5:6:7]',
    '[1::2::3]',
    '[:::]',
    '[::12345]',
    '[::1.2.3.256]',
    '[1.2.3.4::]',
    '[::1%eth0]',
    '[1:2:3:4:5:6:7:8::]',
    `matrix.org\n`,
    'a'.repeat(256),
  ])('refuses %j', (name) => {
    expect(isServerName(name)).toBe(false)
  })

  it('lets a name have 255 characters', () => {
    expect(isServerName('a'.repeat(255))).toBe(true)
  })
})

describe('appendices §User Identifiers', () => {
  it.each(['@a:b', '@alice:example.org', '@a-z0.9=_/+:example.org:8448', '@1:[::1]'])(
    '%s is of the current grammar',
    (id) => {
      expect(isNewUserId(id)).toBe(true)
      expect(isUserId(id)).toBe(true)
    },
  )

  it.each([
    '@Alice:example.org',
    '@a b:example.org',
    '@ünïcode:example.org',
    '@:example.org',
    '@\u0001:example.org',
    '@@:b',
  ])('%j is of the historical grammar only, and still accepted', (id) => {
    expect(isNewUserId(id)).toBe(false)
    expect(isUserId(id)).toBe(true)
  })

  it.each([
    'alice:example.org',
    '@alice',
    '@alice:',
    '@al\0ice:example.org',
    '@al\ud800ice:example.org',
    '@alice:exa_mple.org',
    '@a:b:c:d',
    '',
    '@',
    '#alice:example.org',
    `@${'a'.repeat(250)}:b.c`.padEnd(256, 'c'),
  ])('%j is none', (id) => {
    expect(isUserId(id)).toBe(false)
  })

  it('counts its 255 bytes in UTF-8', () => {
    const fits = `@${'é'.repeat(126)}:b`
    expect(utf8ByteLength(fits)).toBe(255)
    expect(isUserId(fits)).toBe(true)
    expect(isUserId(`@${'é'.repeat(127)}:b`)).toBe(false)
    expect(isUserId(`@${'a'.repeat(252)}:b`)).toBe(true)
    expect(isUserId(`@${'a'.repeat(253)}:b`)).toBe(false)
  })

  it('may be shown to clients outside of events only with a localpart of U+0021 to U+007E', () => {
    expect(isCompliantUserId('@Alice!:example.org')).toBe(true)
    expect(isCompliantUserId('@:example.org')).toBe(false)
    expect(isCompliantUserId('@a b:example.org')).toBe(false)
    expect(isCompliantUserId('@ü:example.org')).toBe(false)
  })

  it('splits at the first colon', () => {
    expect(parseUserId('@alice:example.org:8448')).toEqual({ localpart: 'alice', serverName: 'example.org:8448' })
    expect(serverNameOf('@alice:[::1]:8448')).toBe('[::1]:8448')
    expect(localpartOf('@alice:example.org')).toBe('alice')
    expect(serverNameOf(`!${HASH}`)).toBe('')
  })

  it('judges new localparts together with their server name', () => {
    expect(isNewLocalpart('alice', 'example.org')).toBe(true)
    expect(isNewLocalpart('', 'example.org')).toBe(false)
    expect(isNewLocalpart('alice:x', 'example.org')).toBe(false)
    expect(isNewLocalpart('a'.repeat(250), 'example.org')).toBe(false)
  })
})

describe('appendices §Room IDs, §Room Aliases, §Event IDs', () => {
  it('knows room IDs with a domain, and those that are hashes', () => {
    expect(isRoomIdWithDomain('!636q39766251:example.com')).toBe(true)
    expect(isRoomIdWithDomain('!ä ö:example.com')).toBe(true)
    expect(isRoomIdOfHash(`!${HASH}`)).toBe(true)
    expect(isRoomId(`!${HASH}`)).toBe(true)
    expect(isRoomId('!636q39766251:example.com')).toBe(true)
    expect(isRoomIdWithDomain(`!${HASH}`)).toBe(false)
    expect(isRoomIdOfHash(`!${HASH}=`)).toBe(false)
    expect(isRoomIdOfHash(`!${HASH.replace('-', '+')}`)).toBe(false)
    expect(isRoomId('!nothing')).toBe(false)
    expect(isRoomId(`$${HASH}`)).toBe(false)
  })

  it('knows event IDs of all room versions', () => {
    expect(isEventId('$143273582443PhrSn:example.org')).toBe(true)
    expect(isEventId('$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk')).toBe(true)
    expect(isEventId('$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg')).toBe(true)
    expect(isEventId('$short')).toBe(false)
    expect(isEventId('$x:')).toBe(false)
  })

  it('knows room aliases', () => {
    expect(isRoomAlias('#Küche 1:example.org')).toBe(true)
    expect(isRoomAlias('#:example.org')).toBe(true)
    expect(isRoomAlias('#kitchen')).toBe(false)
    expect(isRoomAlias('#kit\0chen:example.org')).toBe(false)
    expect(isRoomAlias(`#${'ü'.repeat(127)}:b`)).toBe(false)
  })
})

describe('appendices §Common Namespaced Identifier Grammar, §Opaque Identifiers', () => {
  it.each([
    ['m.room.message', true],
    ['com.example.some-thing_2', true],
    ['a', true],
    ['a'.repeat(255), true],
    ['a'.repeat(256), false],
    ['', false],
    ['.a', false],
    ['1a', false],
    ['Com.example', false],
    ['com.exämple', false],
  ])('namespaced: %s is %s', (id, expected) => {
    expect(isNamespacedIdentifier(id)).toBe(expected)
  })

  it.each([
    ['aZ09-._~', true],
    ['a'.repeat(255), true],
    ['a'.repeat(256), false],
    ['', false],
    ['a b', false],
    ['a/b', false],
  ])('opaque: %s is %s', (id, expected) => {
    expect(isOpaqueIdentifier(id)).toBe(expected)
  })

  it.each([
    ['1', true],
    ['12', true],
    ['org.matrix.msc3757.10', true],
    ['a'.repeat(32), true],
    ['a'.repeat(33), false],
    ['', false],
    ['A', false],
    ['1_2', false],
  ])('rooms §Room version grammar: %s is %s', (version, expected) => {
    expect(isRoomVersionId(version)).toBe(expected)
  })
})

describe('key, device and media IDs', () => {
  it('takes key IDs apart at the first colon', () => {
    expect(parseKeyId('signed_curve25519:AAAAHg')).toEqual({ algorithm: 'signed_curve25519', name: 'AAAAHg' })
    expect(parseKeyId('ed25519:base64+/:x')).toEqual({ algorithm: 'ed25519', name: 'base64+/:x' })
    for (const id of ['ed25519', 'ed25519:', ':x', 'ED:x', `ed25519:${'x'.repeat(250)}`])
      expect(parseKeyId(id)).toBeUndefined()
  })

  it('lets servers name their keys with letters, digits and _ only', () => {
    expect(isServerKeyId('ed25519:a_Kz9')).toBe(true)
    expect(isServerKeyId('ed25519:a-b')).toBe(false)
  })

  it('bounds device IDs', () => {
    expect(isDeviceId('GHTYAJCE')).toBe(true)
    expect(isDeviceId('a device/1')).toBe(true)
    for (const id of ['', 'a\0', 'a\n', 'x'.repeat(256), '\ud800']) expect(isDeviceId(id)).toBe(false)
  })

  it('client-server-api §Matrix Content URIs: takes them apart and lets none climb out of a folder', () => {
    expect(parseMxcUri('mxc://matrix.org:8448/a_B-9')).toEqual({ serverName: 'matrix.org:8448', mediaId: 'a_B-9' })
    for (const uri of [
      'mxc://127.0.0.1/../../../some_service/etc/passwd',
      'mxc://matrix.org/..',
      'mxc://matrix.org/a%2Fb',
      'mxc://matrix.org/',
      'mxc://matrix.org',
      'mxc:///a',
      'http://matrix.org/a',
      'mxc://matrix.org/a/b',
    ]) {
      expect(isMxcUri(uri)).toBe(false)
    }
  })
})

describe('schemas of identifiers', () => {
  const cases: readonly (readonly [string, TSchema, readonly string[], readonly string[]])[] = [
    ['UserId', UserId, ['@a:b', '@Ü x:b', '@:b'], ['a', '@a', `@${'a'.repeat(255)}:b`]],
    ['RoomId', RoomId, ['!a:b', `!${HASH}`, '!unknown'], ['a', '!', '!a\0', `!${'a'.repeat(255)}`, '!\ud800']],
    ['EventId', EventId, ['$a:b', `$${HASH}`, '$unknown'], ['a', '$', `$${'é'.repeat(128)}`]],
    ['RoomAlias', RoomAlias, ['#a:b'], ['#a', 'a:b']],
    ['RoomIdOrAlias', RoomIdOrAlias, ['#a:b', '!a'], ['#a', '@a:b']],
    ['ServerName', ServerName, ['a.b:1', '[::1]'], ['a b', '']],
    ['MxcUri', MxcUri, ['mxc://a/b'], ['mxc://a/..', 'x']],
  ]
  it.each(cases)('%s', (_name, schema, good, bad) => {
    const check = Compile(Type.Object({ id: schema }))
    for (const id of good) expect(check.Check({ id }), id).toBe(true)
    for (const id of bad) expect(check.Check({ id }), id).toBe(false)
    expect(check.Check({ id: 5 })).toBe(false)
  })
})
