import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBase64 } from '../../server/protocol/base64.ts'
import { CanonicalJsonError } from '../../server/protocol/canonical-json.ts'
import { createEventIdOf, eventIdOf, identify, roomIdOf, roomIdOfCreate } from '../../server/protocol/event-id.ts'
import {
  checkEventSignatures,
  cosignEvent,
  type EventDraft,
  finishEvent,
  isEventSignedWith,
  isKeyValidFor,
  type KeyLookup,
  keyValidUntil,
  listRequiredKeys,
  listRequiredSigners,
} from '../../server/protocol/event-signing.ts'
import { contentHash, contentHashMatches, referenceHash, signedText } from '../../server/protocol/hashes.ts'
import type { JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { redact } from '../../server/protocol/redaction.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'

const SEED = decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1') ?? Buffer.alloc(0)
const key = makeSigningKey(SEED, '1')
const otherKey = makeSigningKey(Buffer.alloc(32, 9), 'other')

const FAR = 4_000_000_000_000
const keys: Readonly<Record<string, string>> = {
  'domain ed25519:1': key.publicKey,
  'other.example ed25519:other': otherKey.publicKey,
}
const keyOf: KeyLookup = (serverName, keyId) => {
  const publicKey = keys[`${serverName} ${keyId}`]
  return publicKey === undefined ? undefined : { publicKey, validUntilTs: FAR }
}

function draft(version: string, changes: Partial<Pdu> = {}): EventDraft {
  return {
    ...(getRoomVersion(version).eventIds === 'inEvent' ? { event_id: '$0:domain' } : {}),
    room_id: getRoomVersion(version).roomIdIsCreateHash ? '!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ' : '!r:domain',
    type: 'm.room.message',
    sender: '@u:domain',
    content: { body: 'hello' },
    prev_events: [],
    auth_events: [],
    depth: 3,
    origin_server_ts: 1_000_000,
    ...changes,
  }
}

const finish = (version: string, changes: Partial<Pdu> = {}): { eventId: string; pdu: Pdu } =>
  finishEvent({ draft: draft(version, changes), rules: getRoomVersion(version), serverName: 'domain', key })

const check = (version: string, pdu: Pdu): unknown =>
  checkEventSignatures({ pdu, rules: getRoomVersion(version), keyOf })

describe('appendices §Cryptographic Test Vectors, Event Signing', () => {
  it('hashes and signs a minimal event', () => {
    const { pdu } = finishEvent({
      draft: {
        room_id: '!x:domain',
        sender: '@a:domain',
        origin: 'domain',
        origin_server_ts: 1_000_000,
        type: 'X',
        content: {},
        prev_events: [],
        auth_events: [],
        depth: 3,
        unsigned: { age_ts: 1_000_000 },
      } as unknown as EventDraft,
      rules: { ...getRoomVersion('1'), eventIds: 'hash' },
      serverName: 'domain',
      key,
    })
    expect(pdu).toMatchObject({
      hashes: { sha256: '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos' },
      signatures: {
        domain: {
          'ed25519:1': 'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
        },
      },
      unsigned: { age_ts: 1_000_000 },
    })
  })

  it('hashes and signs an event with content that a redaction takes away', () => {
    const { eventId, pdu } = finishEvent({
      draft: {
        content: { body: 'Here is the message content' },
        event_id: '$0:domain',
        origin: 'domain',
        origin_server_ts: 1_000_000,
        type: 'm.room.message',
        room_id: '!r:domain',
        sender: '@u:domain',
        unsigned: { age_ts: 1_000_000 },
      } as unknown as EventDraft,
      rules: getRoomVersion('1'),
      serverName: 'domain',
      key,
    })
    expect(eventId).toBe('$0:domain')
    expect(pdu.hashes.sha256).toBe('onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g')
    expect(pdu.signatures.domain?.['ed25519:1']).toBe(
      'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
    )
  })
})

describe.each(ROOM_VERSIONS)('server-server-api §Signing Events, room version %s', (version) => {
  const rules = getRoomVersion(version)

  it('accepts what it signed, also redacted, and with the same ID', () => {
    const { eventId, pdu } = finish(version)
    expect(check(version, pdu)).toEqual({ ok: true })
    expect(contentHashMatches(pdu, rules)).toBe(true)
    const redacted = redact(pdu, rules)
    expect(check(version, redacted)).toEqual({ ok: true })
    expect(eventIdOf(redacted, rules)).toBe(eventId)
    expect(eventIdOf(pdu, rules, signedText(pdu, rules))).toBe(eventId)
    expect(contentHashMatches(redacted, rules)).toBe(false)
  })

  it('sees changed content by its hash, and a changed frame by its signature', () => {
    const { pdu } = finish(version)
    const changed: Pdu = { ...pdu, content: { body: 'bye' } }
    expect(check(version, changed)).toEqual({ ok: true })
    expect(contentHashMatches(changed, rules)).toBe(false)
    expect(check(version, { ...pdu, depth: 4 })).toMatchObject({ ok: false })
    expect(check(version, { ...pdu, hashes: { sha256: contentHash(changed, rules) } })).toMatchObject({ ok: false })
  })

  it('does not let `unsigned` and other signatures count', () => {
    const { eventId, pdu } = finish(version)
    const dressed: Pdu = { ...pdu, unsigned: { age: 5 }, signatures: { ...pdu.signatures, x: { 'ed25519:y': 'z' } } }
    expect(check(version, dressed)).toEqual({ ok: true })
    expect(contentHashMatches(dressed, rules)).toBe(true)
    expect(eventIdOf(dressed, rules)).toBe(eventId)
  })

  it('adds a second signature without changing the ID', () => {
    const { eventId, pdu } = finish(version)
    const cosigned = cosignEvent({ pdu, rules, serverName: 'other.example', key: otherKey })
    expect(Object.keys(cosigned.signatures)).toEqual(['domain', 'other.example'])
    expect(eventIdOf(cosigned, rules)).toBe(eventId)
    expect(
      isEventSignedWith({
        pdu: cosigned,
        rules,
        serverName: 'other.example',
        keyId: 'ed25519:other',
        publicKey: otherKey.publicKey,
      }),
    ).toBe(true)
    expect(
      isEventSignedWith({
        pdu,
        rules,
        serverName: 'other.example',
        keyId: 'ed25519:other',
        publicKey: otherKey.publicKey,
      }),
    ).toBe(false)
    expect(
      isEventSignedWith({ pdu, rules, serverName: 'constructor', keyId: 'name', publicKey: otherKey.publicKey }),
    ).toBe(false)
  })

  it('breaks under any tampering with what redaction keeps', () => {
    const { pdu } = finish(version, { type: 'm.room.power_levels', state_key: '', content: { ban: 50 } })
    const tamperings = fc.constantFrom<Partial<Pdu>>(
      { sender: '@v:domain' },
      { type: 'x' },
      { state_key: 'x' },
      { content: { ban: 0 } },
      { depth: 1 },
      { origin_server_ts: 1 },
      { prev_events: ['$x'] },
      { auth_events: ['$x'] },
    )
    fc.assert(
      fc.property(fc.array(tamperings, { minLength: 1 }), (changes) => {
        const changed: Pdu = Object.assign({}, pdu, ...changes)
        expect(check(version, changed)).toMatchObject({ ok: false })
      }),
    )
  })
})

describe('rooms/v1, v3, v4 §Event IDs', () => {
  it('are in the event in versions 1 and 2', () => {
    expect(finish('2').eventId).toBe('$0:domain')
    const { event_id: _, ...without } = finish('1').pdu
    expect(() => eventIdOf(without, getRoomVersion('1'))).toThrow(TypeError)
  })

  it('are the reference hash in standard Base64 in version 3, URL-safe from version 4 on', () => {
    // Depth chosen so that the hash has both characters that differ.
    const found = Array.from({ length: 500 }, (_, depth) => finish('3', { depth })).find(
      ({ eventId }) => eventId.includes('+') && eventId.includes('/'),
    )
    expect(found?.eventId).toMatch(/^\$[0-9A-Za-z+/]{43}$/)
    const pdu = found?.pdu as Pdu
    expect(found?.eventId).toBe(`$${referenceHash(pdu, getRoomVersion('3'))}`)
    const urlSafe = identify(pdu, getRoomVersion('4')).eventId
    expect(urlSafe).toBe(found?.eventId.replaceAll('+', '-').replaceAll('/', '_'))
  })

  it('rooms/v12 §Room IDs: a room has the ID of its create event', () => {
    const rules = getRoomVersion('12')
    const { room_id: _, ...create } = draft('12', {
      type: 'm.room.create',
      state_key: '',
      content: { room_version: '12' },
    })
    const made = finishEvent({ draft: create, rules, serverName: 'domain', key })
    const roomId = roomIdOf(made, rules)
    expect(roomId).toBe(`!${made.eventId.slice(1)}`)
    expect(roomIdOfCreate(createEventIdOf(roomId))).toBe(roomId)
    const message = finish('12', { room_id: roomId })
    expect(roomIdOf(message, rules)).toBe(roomId)
    expect(() => roomIdOf(made, getRoomVersion('11'))).toThrow(TypeError)
  })
})

describe('server-server-api §Validating hashes and signatures: who must have signed', () => {
  const signers = (version: string, changes: Partial<Pdu>): readonly string[] =>
    listRequiredSigners(finish(version, changes).pdu, getRoomVersion(version))

  it('the server of the sender', () => {
    expect(signers('11', {})).toEqual(['domain'])
    expect(check('11', finish('11', { sender: '@u:other.example' }).pdu)).toEqual({
      ok: false,
      why: 'there is no signature of other.example',
    })
  })

  it('in room versions 1 and 2 also the server in the event ID', () => {
    expect(signers('1', { event_id: '$x:other.example' })).toEqual(['domain', 'other.example'])
    expect(signers('3', { event_id: '$x:other.example' })).toEqual(['domain'])
    const { pdu } = finish('2', { event_id: '$x:other.example' })
    expect(check('2', pdu)).toMatchObject({ ok: false })
    const cosigned = cosignEvent({ pdu, rules: getRoomVersion('2'), serverName: 'other.example', key: otherKey })
    expect(check('2', cosigned)).toEqual({ ok: true })
  })

  it('not the sender’s server for an invite by third-party ID', () => {
    const changes: Partial<Pdu> = {
      type: 'm.room.member',
      state_key: '@x:domain',
      sender: '@u:unknown.example',
      content: { membership: 'invite', third_party_invite: { signed: {} } },
    }
    expect(signers('11', changes)).toEqual([])
    expect(check('11', finish('11', changes).pdu)).toEqual({ ok: true })
    expect(signers('11', { ...changes, content: { membership: 'join', third_party_invite: {} } })).toEqual([
      'unknown.example',
    ])
    expect(signers('1', changes)).toEqual(['domain'])
  })

  it('rooms/v8 4.2: the server of the user who authorised a restricted join, from version 8 on', () => {
    const content: JsonObject = { membership: 'join', join_authorised_via_users_server: '@admin:other.example' }
    const join: Partial<Pdu> = { type: 'm.room.member', state_key: '@u:domain', content }
    expect(signers('7', join)).toEqual(['domain'])
    expect(signers('8', join)).toEqual(['domain', 'other.example'])
    expect(signers('8', { ...join, type: 'm.room.message' })).toEqual(['domain'])
    const { pdu } = finish('10', join)
    expect(check('10', pdu)).toMatchObject({ ok: false })
    const cosigned = cosignEvent({ pdu, rules: getRoomVersion('10'), serverName: 'other.example', key: otherKey })
    expect(check('10', cosigned)).toEqual({ ok: true })
    expect(
      check('10', finish('10', { ...join, content: { ...content, join_authorised_via_users_server: 5 } }).pdu),
    ).toEqual({
      ok: false,
      why: 'a server that must sign cannot be told',
    })
  })

  it('lists the keys to fetch first, and never more than 16 of a server', () => {
    const { pdu } = finish('11')
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`ed25519:k${i}`, 'x']))
    expect(listRequiredKeys(pdu, getRoomVersion('11'))).toEqual([{ serverName: 'domain', keyIds: ['ed25519:1'] }])
    const padded: Pdu = { ...pdu, signatures: { domain: { ...many, 'rsa:1': 'x' } } }
    expect(listRequiredKeys(padded, getRoomVersion('11'))[0]?.keyIds).toHaveLength(16)
  })

  it('answers that an event without canonical form is not signed', () => {
    const { pdu } = finish('11')
    expect(check('11', { ...pdu, depth: 1.5 })).toMatchObject({
      ok: false,
      why: 'JSON has a number that is not an integer',
    })
    expect(() => finish('11', { content: { a: 1.5 } })).toThrow(CanonicalJsonError)
    expect(finish('5', { content: { a: 1.5 } }).pdu.content).toEqual({ a: 1.5 })
  })
})

describe('events of our own', () => {
  const nested = (levels: number): JsonObject => (levels === 1 ? {} : { a: nested(levels - 1) })

  it('are not nested more deeply than other servers read', () => {
    expect(finish('11', { content: nested(99) }).pdu.content).toEqual(nested(99))
    expect(() => finish('11', { content: nested(100) })).toThrow('JSON is nested too deeply')
  })
})

describe('rooms/v5 §Signing key validity period', () => {
  it('takes the lesser of the published time and 7 days after the fetch', () => {
    expect(keyValidUntil(5_000, 1_000)).toBe(5_000)
    expect(keyValidUntil(FAR, 1_000)).toBe(1_000 + 7 * 86_400_000)
  })

  it.each([
    ['4', { validUntilTs: 5 }, true],
    ['5', { validUntilTs: 5 }, false],
    ['5', { validUntilTs: 10 }, true],
    ['12', { validUntilTs: 9 }, false],
    ['4', { validUntilTs: 99, expiredTs: 9 }, false],
    ['4', { validUntilTs: 0, expiredTs: 10 }, true],
    ['5', { validUntilTs: 0, expiredTs: 10 }, true],
  ])('version %s, key %j, event at 10: %s', (version, validity, expected) => {
    expect(isKeyValidFor({ publicKey: key.publicKey, ...validity }, 10, getRoomVersion(version))).toBe(expected)
  })

  it('passes over the signature of a key that was not valid then', () => {
    const { pdu } = finish('5')
    const stale: KeyLookup = () => ({ publicKey: key.publicKey, validUntilTs: 999_999 })
    expect(checkEventSignatures({ pdu, rules: getRoomVersion('5'), keyOf: stale })).toEqual({
      ok: false,
      why: 'no signature of domain is under a key that is known and valid',
    })
    expect(checkEventSignatures({ pdu: finish('4').pdu, rules: getRoomVersion('4'), keyOf: stale })).toEqual({
      ok: true,
    })
  })
})
