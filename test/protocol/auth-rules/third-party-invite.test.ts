import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../server/protocol/canonical-json.ts'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { alice, allowed, bob, carol, levelsOf, rejected, situation } from './situation.ts'

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

interface Key {
  readonly publicKey: string
  readonly privateKey: KeyObject
}
function newKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: unpadded(Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')) }
}
const [identityKey, ephemeralKey, strangersKey] = [newKey(), newKey(), newKey()] as const

const signed = (key: Key, object: JsonObject = { mxid: bob, token: 'tok' }, server = 'id.example'): JsonObject => ({
  ...object,
  signatures: { [server]: { 'ed25519:0': unpadded(sign(null, Buffer.from(canonicalJson(object)), key.privateKey)) } },
})
const OFFER: JsonObject = {
  display_name: 'b…@example.com',
  key_validity_url: 'https://id.example/valid',
  public_key: identityKey.publicKey,
  public_keys: [{ public_key: identityKey.publicKey }, { public_key: ephemeralKey.publicKey }],
}

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules: invites by third-party invite', (version) => {
  const judge = (
    thirdPartyInvite: Json,
    {
      offer = OFFER,
      target = bob,
      by = alice,
      members = {} as Readonly<Record<string, string>>,
      levels = {} as JsonObject,
    } = {},
  ) =>
    situation(version, {
      members,
      levels: levelsOf(version, levels),
      more: [{ by: alice, type: 'm.room.third_party_invite', key: 'tok', content: offer }],
    }).judge({
      by,
      type: 'm.room.member',
      key: target,
      content: { membership: 'invite', third_party_invite: thirdPartyInvite },
    })

  it('allows what is signed by the public_key or by one of public_keys', () => {
    expect(judge({ signed: signed(identityKey) })).toEqual(allowed)
    expect(judge({ signed: signed(ephemeralKey) })).toEqual(allowed)
    expect(judge({ signed: signed(ephemeralKey) }, { offer: { public_key: ephemeralKey.publicKey } })).toEqual(allowed)
    expect(
      judge({ signed: signed(ephemeralKey) }, { offer: { public_keys: [{ public_key: ephemeralKey.publicKey }] } }),
    ).toEqual(allowed)
  })

  it('takes the URL-safe alphabet for keys, too', () => {
    const urlSafe = identityKey.publicKey.replaceAll('+', '-').replaceAll('/', '_')
    expect(judge({ signed: signed(identityKey) }, { offer: { public_key: urlSafe } })).toEqual(allowed)
  })

  it('allows it without the sender having power, or being joined any more', () => {
    expect(
      judge({ signed: signed(identityKey) }, { members: { [alice]: 'leave' }, levels: { invite: 1_000 } }),
    ).toEqual(allowed)
  })

  it('rejects the invite of who is banned', () => {
    expect(judge({ signed: signed(identityKey) }, { members: { [bob]: 'ban' } })).toEqual(rejected('banned'))
  })

  it.each([null, 'x', 5, [], {}, { signed: null }, { signed: 'x' }, { signed: [] }] as Json[])(
    'rejects %j, which has no signed object',
    (thirdPartyInvite) => {
      expect(judge(thirdPartyInvite)).toEqual(rejected('third_party_invite.signed is missing'))
    },
  )

  it.each([
    ['mxid', { token: 'tok' }],
    ['mxid', { token: 'tok', mxid: 5 }],
    ['token', { mxid: bob }],
    ['token', { mxid: bob, token: ['tok'] }],
  ] satisfies [string, JsonObject][])('rejects a signed object without %s: %j', (missing, object) => {
    expect(judge({ signed: signed(identityKey, object) })).toEqual(rejected(`signed.${missing} is missing`))
  })

  it('rejects what was signed for another user', () => {
    expect(judge({ signed: signed(identityKey) }, { target: carol })).toEqual(rejected('mxid is not the state_key'))
  })

  it('rejects a token that the room has no third-party invite of', () => {
    expect(judge({ signed: signed(identityKey, { mxid: bob, token: 'other' }) })).toEqual(rejected('signed.token'))
  })

  it('rejects an event whose sender did not send the third-party invite', () => {
    expect(judge({ signed: signed(identityKey) }, { by: carol, members: { [carol]: 'join' } })).toEqual(
      rejected('sender is not who sent the third-party invite'),
    )
  })

  it('rejects what is signed by another key, or changed after it was signed', () => {
    expect(judge({ signed: signed(strangersKey) })).toEqual(rejected('not signed by a key'))
    expect(judge({ signed: { ...signed(identityKey), more: 1 } })).toEqual(rejected('not signed by a key'))
  })

  it.each([
    ['no signatures', { mxid: bob, token: 'tok' }],
    ['signatures that are text', { mxid: bob, token: 'tok', signatures: 'x' }],
    ['signatures that are a list', { mxid: bob, token: 'tok', signatures: [['ed25519:0', 'x']] }],
    ["a server's signatures that are null", { mxid: bob, token: 'tok', signatures: { 'id.example': null } }],
    ['a signature that is a number', { mxid: bob, token: 'tok', signatures: { 'id.example': { 'ed25519:0': 5 } } }],
    ['a signature that is no base64', { mxid: bob, token: 'tok', signatures: { 'id.example': { 'ed25519:0': '!' } } }],
  ] satisfies [string, JsonObject][])('rejects %s', (_, object) => {
    expect(judge({ signed: object })).toEqual(rejected('not signed by a key'))
  })

  it.each([
    ['no keys', {}],
    ['a key that is a number', { public_key: 5 }],
    ['a key that is no base64', { public_key: '!' }],
    ['a key of the wrong length', { public_key: 'AAAA' }],
    ['keys that are text', { public_keys: 'x' }],
    ['keys without public_key', { public_keys: [null, 5, {}, [], { public_key: null }] }],
  ] as [string, JsonObject][])('rejects where the room’s third-party invite has %s', (_, offer) => {
    expect(judge({ signed: signed(identityKey) }, { offer })).toEqual(rejected('not signed by a key'))
  })

  it('does not go through hundreds of signatures to find a good one', () => {
    const bad = Array.from({ length: 400 }, (_, index) => [`ed25519:${index}`, 'A'.repeat(86)])
    const { signatures: good } = signed(identityKey) as { readonly signatures: JsonObject }
    const object = { mxid: bob, token: 'tok', signatures: { 'a.example': Object.fromEntries(bad), ...good } }
    expect(judge({ signed: object })).toEqual(rejected('not signed by a key'))
    expect(judge({ signed: { ...object, signatures: { ...good, 'a.example': Object.fromEntries(bad) } } })).toEqual(
      allowed,
    )
  })
})
