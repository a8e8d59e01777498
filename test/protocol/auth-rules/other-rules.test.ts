import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkAuth, roomStateOf } from '../../../server/protocol/auth-rules/index.ts'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { type Asked, alice, allowed, bob, carol, levelsOf, rejected, situation, versions } from './situation.ts'

const everybody = { [alice]: 'join', [bob]: 'join', [carol]: 'join' }
const message = (by: string): Asked => ({ by, type: 'm.room.message', content: { body: 'hello' } })

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules', (version) => {
  it('rejects everything in a room without create event', () => {
    const rules = getRoomVersion(version)
    const { pdu } = situation(version)
    expect(
      checkAuth(
        pdu(message(alice)),
        roomStateOf(() => undefined, rules),
        rules,
      ),
    ).toEqual(rejected('no create event'))
  })

  describe('m.federate', () => {
    it('rejects events from other servers than that of the create event where it is false', () => {
      const { judge } = situation(version, { create: { 'm.federate': false }, members: everybody, rule: 'public' })
      expect(judge(message(bob))).toEqual(rejected('not federated'))
      expect(judge({ by: bob, type: 'm.room.member', key: bob, content: { membership: 'join' } })).toEqual(
        rejected('not federated'),
      )
      expect(judge(message(alice))).toEqual(allowed)
    })

    it('allows them where it is anything else', () => {
      for (const federate of [true, null, 0, 'false', {}] satisfies Json[]) {
        expect(
          situation(version, { create: { 'm.federate': federate }, members: everybody }).judge(message(bob)),
        ).toEqual(allowed)
      }
    })
  })

  describe('events of members', () => {
    it('are rejected from who is not joined', () => {
      for (const membership of ['invite', 'leave', 'ban', 'knock', null, ['join']] as const) {
        expect(situation(version, { members: { [bob]: membership } }).judge(message(bob))).toEqual(
          rejected('sender is not joined'),
        )
      }
      expect(situation(version).judge(message(bob))).toEqual(rejected('sender is not joined'))
    })

    it('need the level of their type, or events_default and state_default', () => {
      const judgeAt = (level: number, asked: Omit<Asked, 'by'>, more: JsonObject) =>
        situation(version, { members: everybody, levels: levelsOf(version, more, { [bob]: level }) }).judge({
          by: bob,
          ...asked,
        })
      const [say, tell] = [{ type: 'm.room.message' }, { type: 'm.room.topic', key: '' }]
      expect(judgeAt(0, say, {})).toEqual(allowed)
      expect(judgeAt(-1, say, {})).toEqual(rejected('too little power to send m.room.message'))
      expect(judgeAt(10, say, { events_default: 10 })).toEqual(allowed)
      expect(judgeAt(9, say, { events_default: 10 })).toEqual(rejected('too little power'))
      expect(judgeAt(50, tell, {})).toEqual(allowed)
      expect(judgeAt(49, tell, {})).toEqual(rejected('too little power to send m.room.topic'))
      expect(judgeAt(20, tell, { state_default: 20 })).toEqual(allowed)
      expect(judgeAt(19, tell, { state_default: 20 })).toEqual(rejected('too little power'))
      expect(judgeAt(5, tell, { events: { 'm.room.topic': 5 } })).toEqual(allowed)
      expect(judgeAt(4, tell, { events: { 'm.room.topic': 5 } })).toEqual(rejected('too little power'))
      // The same level holds for the type, whether as state or not.
      expect(judgeAt(5, { type: 'm.room.topic' }, { events: { 'm.room.topic': 5 } })).toEqual(allowed)
    })

    it('may not have the ID of another user as state_key', () => {
      const { judge } = situation(version, { members: everybody, levels: levelsOf(version, { state_default: 0 }) })
      const own = (by: string, key: string): Asked => ({ by, type: 'org.example.own', key })
      expect(judge(own(bob, bob))).toEqual(allowed)
      expect(judge(own(bob, carol))).toEqual(rejected('state_key'))
      expect(judge(own(alice, bob))).toEqual(rejected('state_key'))
      expect(judge(own(bob, '@'))).toEqual(rejected('state_key'))
      expect(judge(own(bob, `${bob}_more`))).toEqual(rejected('state_key'))
      expect(judge(own(bob, 'bob'))).toEqual(allowed)
    })
  })

  describe('m.room.third_party_invite', () => {
    const offer = (by: string): Asked => ({ by, type: 'm.room.third_party_invite', key: 'tok', content: {} })
    const judgeAt = (level: number, more: JsonObject) =>
      situation(version, { members: everybody, levels: levelsOf(version, more, { [bob]: level }) }).judge(offer(bob))

    it('needs the invite level and nothing else', () => {
      expect(judgeAt(0, { state_default: 90, events: { 'm.room.third_party_invite': 90 } })).toEqual(allowed)
      expect(judgeAt(20, { invite: 20 })).toEqual(allowed)
      expect(judgeAt(19, { invite: 20 })).toEqual(rejected('too little power to invite'))
    })

    it('is rejected from who is not joined', () => {
      expect(situation(version).judge(offer(bob))).toEqual(rejected('sender is not joined'))
    })
  })
})

describe('rooms/v1 §Authorization rules, 4: m.room.aliases', () => {
  const aliases = (by: string, key?: string): Asked => ({
    by,
    type: 'm.room.aliases',
    ...(key === undefined ? {} : { key }),
    content: { aliases: ['#a:one.example'] },
  })

  it.each(versions(1, 5))("version %s: may be set for one's own domain by anybody, member or not", (version) => {
    const { judge } = situation(version, { levels: levelsOf(version, { state_default: 100 }) })
    expect(judge(aliases(bob, 'two.example'))).toEqual(allowed)
    expect(judge(aliases(bob, 'one.example'))).toEqual(rejected('state_key'))
    expect(judge(aliases(alice, ''))).toEqual(rejected('state_key'))
    expect(judge(aliases(alice))).toEqual(rejected('state_key is missing'))
  })

  it.each(versions(6, 12))('version %s: are state as any other', (version) => {
    const { judge } = situation(version, { members: { [bob]: 'join' }, levels: levelsOf(version, {}, { [bob]: 50 }) })
    expect(judge(aliases(bob, 'one.example'))).toEqual(allowed)
    expect(judge(aliases(carol, 'three.example'))).toEqual(rejected('sender is not joined'))
  })
})

describe('rooms/v1 §Authorization rules, 11: m.room.redaction', () => {
  const redaction = (by: string, redacts: string | undefined, eventId: string): Asked => ({
    by,
    type: 'm.room.redaction',
    eventId,
    ...(redacts === undefined ? {} : { redacts }),
  })
  const judgeAt = (version: string, level: number, asked: Asked, more: JsonObject = {}) =>
    situation(version, { members: everybody, levels: levelsOf(version, more, { [bob]: level }) }).judge(asked)

  it.each(versions(1, 2))('version %s: needs the redact level', (version) => {
    const foreign = redaction(bob, '$x:one.example', '$r:two.example')
    expect(judgeAt(version, 50, foreign)).toEqual(allowed)
    expect(judgeAt(version, 49, foreign)).toEqual(rejected('redact'))
    expect(judgeAt(version, 20, foreign, { redact: 20 })).toEqual(allowed)
    expect(judgeAt(version, 19, foreign, { redact: 20 })).toEqual(rejected('redact'))
  })

  it.each(versions(1, 2))("version %s: or an event of the redaction's own domain", (version) => {
    expect(judgeAt(version, 0, redaction(bob, '$x:two.example', '$r:two.example'))).toEqual(allowed)
    expect(judgeAt(version, 0, redaction(bob, '$x:two.example:8448', '$r:two.example'))).toEqual(rejected('redact'))
    expect(judgeAt(version, 0, redaction(bob, undefined, '$r:two.example'))).toEqual(rejected('redact'))
  })

  it.each(versions(3, 12))(
    'version %s: is an event as any other; whether it is applied is another question',
    (version) => {
      expect(judgeAt(version, 0, { by: bob, type: 'm.room.redaction', redacts: '$x' })).toEqual(allowed)
      const strict = { events: { 'm.room.redaction': 10 } }
      expect(judgeAt(version, 9, { by: bob, type: 'm.room.redaction', redacts: '$x' }, strict)).toEqual(
        rejected('too little power'),
      )
    },
  )
})

describe('rooms/v12 §Authorization rules, 2', () => {
  it('rejects an event whose room_id is not that of the create event in the state', () => {
    const { pdu, state, rules } = situation('12')
    expect(checkAuth({ ...pdu(message(alice)), room_id: '!other' }, state, rules)).toEqual(rejected('room_id'))
  })
})

describe('rules that meet hostile events', () => {
  const TYPES = [
    'm.room.create',
    'm.room.member',
    'm.room.power_levels',
    'm.room.join_rules',
    'm.room.aliases',
    'm.room.redaction',
    'm.room.third_party_invite',
    'x',
  ]
  const KEYS = [
    'membership',
    'users',
    'events',
    'notifications',
    'ban',
    'join_rule',
    'creator',
    'm.federate',
    'third_party_invite',
    'signed',
    'mxid',
    'token',
    'signatures',
    'public_key',
    'public_keys',
    'additional_creators',
    'join_authorised_via_users_server',
    'room_version',
    'redacts',
    '__proto__',
    alice,
    bob,
  ]
  const { content } = fc.letrec<{ value: unknown; content: unknown }>((tie) => ({
    content: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 5 }),
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>(
        null,
        true,
        0,
        -1,
        50,
        1e21,
        '',
        'join',
        'invite',
        'leave',
        'ban',
        'knock',
        'public',
        'restricted',
        alice,
        bob,
        'tok',
        '50',
      ),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('content'),
    ),
  }))
  const hostile = fc.record({
    by: fc.constantFrom(alice, bob),
    type: fc.constantFrom(...TYPES),
    key: fc.constantFrom('', alice, bob, 'tok', '__proto__'),
    content: content as fc.Arbitrary<JsonObject>,
  })

  it.each(ROOM_VERSIONS)('version %s: give a verdict, whatever event and state hold, and never throw', (version) => {
    fc.assert(
      fc.property(
        hostile,
        fc.array(hostile, { maxLength: 8 }),
        content as fc.Arbitrary<JsonObject>,
        (asked, more, create) => {
          const { judge, state } = situation(version, { create, more })
          const verdict = judge(asked)
          expect(verdict.ok || verdict.why.length > 0).toBe(true)
          expect(state.power(bob)).not.toBeNaN()
        },
      ),
      { numRuns: 300 },
    )
  })
})
