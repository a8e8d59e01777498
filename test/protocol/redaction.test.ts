import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../server/protocol/pdu.ts'
import { redact } from '../../server/protocol/redaction.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'

const ALL = ROOM_VERSIONS
const from = (version: number): readonly string[] => ALL.filter((v) => Number(v) >= version)
const before = (version: number): readonly string[] => ALL.filter((v) => Number(v) < version)

const ENVELOPE = [
  'event_id',
  'type',
  'room_id',
  'sender',
  'state_key',
  'content',
  'hashes',
  'signatures',
  'depth',
  'prev_events',
  'auth_events',
  'origin_server_ts',
]
const ENVELOPE_BEFORE_V11 = [...ENVELOPE, 'prev_state', 'origin', 'membership']

const POWER_LEVELS = ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default']

/** By event type and room version: the keys of `content` that redaction keeps. */
const KEPT: readonly (readonly [type: string, versions: readonly string[], kept: readonly string[]])[] = [
  ['m.room.member', before(9), ['membership']],
  ['m.room.member', from(9), ['membership', 'join_authorised_via_users_server']],
  ['m.room.create', before(11), ['creator']],
  ['m.room.join_rules', before(8), ['join_rule']],
  ['m.room.join_rules', from(8), ['join_rule', 'allow']],
  ['m.room.power_levels', before(11), POWER_LEVELS],
  ['m.room.power_levels', from(11), [...POWER_LEVELS, 'invite']],
  ['m.room.aliases', before(6), ['aliases']],
  ['m.room.aliases', from(6), []],
  ['m.room.history_visibility', ALL, ['history_visibility']],
  ['m.room.redaction', before(11), []],
  ['m.room.redaction', from(11), ['redacts']],
  ['m.room.message', ALL, []],
  ['m.room.name', ALL, []],
  ['m.room.third_party_invite', ALL, []],
]

/** Every key that any rule names, and some that none does. */
const EVERYTHING: JsonObject = Object.fromEntries(
  [
    ...new Set(KEPT.flatMap(([, , kept]) => kept)),
    'body',
    'displayname',
    'notifications',
    'room_version',
    'constructor',
    '__proto__',
  ].map((name) => [name, `the ${name}`]),
)

describe('client-server-api §Redactions, by room version', () => {
  describe.each(KEPT)('content of %s in versions %j', (type, versions, kept) => {
    it.each(versions)('version %s keeps what the version lists', (version) => {
      const { content } = redact({ type, content: EVERYTHING }, getRoomVersion(version)) as { content: JsonObject }
      expect(Object.keys(content).sort()).toEqual([...kept].sort())
      for (const name of kept) expect(content[name]).toBe(`the ${name}`)
    })
  })

  it.each(from(11))('version %s keeps all content of m.room.create', (version) => {
    const event = { type: 'm.room.create', content: EVERYTHING }
    expect(redact(event, getRoomVersion(version))).toEqual(event)
  })

  it.each(ALL)('version %s keeps the frame of an event that it lists', (version) => {
    const event = Object.fromEntries(
      [...ENVELOPE_BEFORE_V11, 'unsigned', 'redacts', 'age_ts', 'outlier', '__proto__', 'x'].map((name) => [
        name,
        name,
      ]),
    )
    const expected = Number(version) >= 11 ? ENVELOPE : ENVELOPE_BEFORE_V11
    expect(Object.keys(redact(event, getRoomVersion(version))).sort()).toEqual([...expected].sort())
  })

  it.each<[string, Json, Json | undefined]>([
    ['10', { signed: { mxid: '@a:b' }, display_name: 'a' }, undefined],
    ['11', { signed: { mxid: '@a:b' }, display_name: 'a' }, { signed: { mxid: '@a:b' } }],
    ['12', { signed: 5 }, { signed: 5 }],
    ['11', { display_name: 'a' }, {}],
    ['11', 'text', undefined],
    ['11', null, undefined],
    ['11', [], undefined],
  ])('version %s makes of third_party_invite %j: %j', (version, third_party_invite, expected) => {
    const event = { type: 'm.room.member', content: { membership: 'invite', third_party_invite } }
    expect(redact(event, getRoomVersion(version))).toEqual({
      type: 'm.room.member',
      content: { membership: 'invite', ...(expected === undefined ? {} : { third_party_invite: expected }) },
    })
  })

  it('leaves the event itself as it was', () => {
    const event = { type: 'm.room.message', content: { body: 'x' }, unsigned: { age: 1 } }
    redact(event, getRoomVersion('11'))
    expect(event).toEqual({ type: 'm.room.message', content: { body: 'x' }, unsigned: { age: 1 } })
  })

  it('takes content that is no object for empty', () => {
    expect(redact({ type: 'm.room.member', content: 'x' }, getRoomVersion('1'))).toEqual({
      type: 'm.room.member',
      content: {},
    })
  })

  it('changes nothing the second time', () => {
    const names = fc.constantFrom(...Object.keys(EVERYTHING), 'third_party_invite', 'signed')
    const content = fc.dictionary(names, fc.oneof(fc.integer(), fc.dictionary(names, fc.integer())))
    const types = fc.constantFrom(...KEPT.map(([type]) => type), 'm.room.create')
    fc.assert(
      fc.property(fc.constantFrom(...ALL), types, content, (version, type, given) => {
        const rules = getRoomVersion(version)
        const once = redact({ type, content: given, unsigned: {}, sender: '@a:b', foo: 1 } as JsonObject, rules)
        expect(redact(once, rules)).toEqual(once)
      }),
    )
  })
})
