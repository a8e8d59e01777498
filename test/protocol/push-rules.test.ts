import { describe, expect, it } from 'vitest'
import { defaultPushRules, joinPushRules } from '../../server/protocol/default-push-rules.ts'
import { parseJson } from '../../server/protocol/json.ts'
import type { Json, JsonObject } from '../../server/protocol/pdu.ts'
import {
  compileCondition,
  type PushContext,
  PushEvent,
  parsePropertyPath,
} from '../../server/protocol/push-conditions.ts'
import {
  compilePushRules,
  evaluate,
  type PushOutcome,
  type PushRule,
  type PushRuleset,
} from '../../server/protocol/push-rules.ts'

const ALICE = '@alice:example.org'
const BOB = '@bob:example.org'
const ROOM = '!room:example.org'

const context: PushContext = {
  userId: ALICE,
  displayName: 'Alice (home)',
  memberCount: 5,
  senderPower: 0,
  notificationLevels: {},
}

const message = (content: JsonObject, rest: JsonObject = {}): JsonObject => ({
  type: 'm.room.message',
  sender: BOB,
  room_id: ROOM,
  event_id: '$e',
  content,
  ...rest,
})

const holds = (condition: Json, event: JsonObject, changes: Partial<PushContext> = {}): boolean =>
  compileCondition(condition)(new PushEvent(event), { ...context, ...changes })

describe('appendices §Dot-separated property paths', () => {
  it.each([
    ['content.body', ['content', 'body']],
    ['content.m\\.relates_to.rel_type', ['content', 'm.relates_to', 'rel_type']],
    ['content.m\\\\foo', ['content', 'm\\foo']],
    ['content.a\\xb', ['content', 'a\\xb']],
    ['a\\', ['a\\']],
    ['a..b', ['a', '', 'b']],
    ['', ['']],
  ])('%j is %j', (key, path) => {
    expect(parsePropertyPath(key)).toEqual(path)
  })
})

describe('client-server-api §Push Rules, Conditions', () => {
  const match = (key: string, pattern: Json): Json => ({ kind: 'event_match', key, pattern })

  it.each<[string, Json, JsonObject, boolean]>([
    ['whole value', match('content.topic', 'lunc?*'), { content: { topic: 'Lunch plans' } }, true],
    ['case', match('content.topic', 'lunc?*'), { content: { topic: 'LUNCH' } }, true],
    ['case of the pattern', match('content.topic', 'LUNCH'), { content: { topic: 'lunch' } }, true],
    ['leading space', match('content.topic', 'lunc?*'), { content: { topic: ' lunch' } }, false],
    ['? must match', match('content.topic', 'lunc?*'), { content: { topic: 'lunc' } }, false],
    ['no string', match('content.topic', '*'), { content: { topic: null } }, false],
    ['absent', match('content.topic', '*'), { content: {} }, false],
    ['inherited', match('content.constructor', '*'), { content: {} }, false],
    ['in a list', match('content.list.0', '*'), { content: { list: ['x'] } }, false],
    ['through a string', match('content.topic.length', '*'), { content: { topic: 'x' } }, false],
    ['body: a part', match('content.body', 'ex*ple'), { content: { body: 'An exciting triple-whammy' } }, true],
    ['body: inside of a word', match('content.body', 'cake'), { content: { body: 'cakes' } }, false],
    ['another body: whole', match('content.m\\.body', 'cake'), { content: { 'm.body': 'a cake' } }, false],
    ['empty state key', match('state_key', ''), { state_key: '' }, true],
    ['no state key', match('state_key', ''), {}, false],
    ['escaped dots', match('content.m\\.x.y', 'z'), { content: { 'm.x': { y: 'z' } } }, true],
    ['a pattern that is none', match('type', 5), { type: '5' }, false],
    ['no key', { kind: 'event_match', pattern: '*' }, { type: 'x' }, false],
  ])('event_match: %s', (_name, condition, event, expected) => {
    expect(holds(condition, event)).toBe(expected)
  })

  it.each<[Json, Json, boolean]>([
    [true, true, true],
    ['true', true, false],
    [1, true, false],
    [null, null, true],
    [5, 5, true],
    ['a', 'a', true],
    ['A', 'a', false],
    [{}, {}, false],
    [[], [], false],
    [1.5, 1.5, false],
  ])('event_property_is: property %j, value %j: %s', (property, value, expected) => {
    const condition = { kind: 'event_property_is', key: 'content.m\\.federate', value }
    expect(holds(condition, { content: { 'm.federate': property } })).toBe(expected)
    expect(holds(condition, { content: {} })).toBe(false)
  })

  it.each<[Json, Json, boolean]>([
    [['#a:b', '#myroom:example.com'], '#myroom:example.com', true],
    [['#a:b'], ':b', false],
    [[1, null, true], null, true],
    [[1, null, true], true, true],
    [['1'], 1, false],
    [[[1]], 1, false],
    ['#a:b', '#a:b', false],
    [{ 0: 'x' }, 'x', false],
  ])('event_property_contains: list %j, value %j: %s', (list, value, expected) => {
    const condition = { kind: 'event_property_contains', key: 'content.alt_aliases', value }
    expect(holds(condition, { content: { alt_aliases: list } })).toBe(expected)
  })

  it.each([
    ['2', 2, true],
    ['2', 3, false],
    ['==2', 2, true],
    ['<2', 1, true],
    ['<2', 2, false],
    ['<=2', 2, true],
    ['>2', 3, true],
    ['>2', 2, false],
    ['>=2', 2, true],
    ['=2', 2, false],
    ['two', 2, false],
    ['-2', 2, false],
    ['2.0', 2, false],
    [' 2', 2, false],
    ['', 0, false],
  ])('room_member_count: is %j with %i members: %s', (is, memberCount, expected) => {
    expect(holds({ kind: 'room_member_count', is }, {}, { memberCount })).toBe(expected)
  })

  it.each<[JsonObject, number, boolean]>([
    [{}, 50, true],
    [{}, 49, false],
    [{ room: 20 }, 20, true],
    [{ room: 20 }, 19, false],
    [{ room: '30' }, 29, false],
    [{ room: '30' }, 30, true],
    [{ room: 'x' }, 50, true],
    [{ other: 0 }, 10, false],
    [{ room: 100 }, Number.POSITIVE_INFINITY, true],
  ])('sender_notification_permission: levels %j, power %d: %s', (notificationLevels, senderPower, expected) => {
    const condition = { kind: 'sender_notification_permission', key: 'room' }
    expect(holds(condition, {}, { notificationLevels, senderPower })).toBe(expected)
  })

  it.each([
    ['hello alice (home)!', 'Alice (home)', true],
    ['hello ALICE', 'Alice', true],
    ['malice', 'Alice', false],
    ['anything', '', false],
    ['anything', undefined, false],
    ['any * thing', '*', true],
    ['anything', '*', false],
  ])('contains_display_name: %j for %j: %s', (body, displayName, expected) => {
    expect(holds({ kind: 'contains_display_name' }, { content: { body } }, { displayName })).toBe(expected)
  })

  it('MSC3931: room_version_supports holds for features of the room version', () => {
    const condition = { kind: 'org.matrix.msc3931.room_version_supports', feature: 'org.example.x' }
    expect(holds(condition, {})).toBe(false)
    expect(holds(condition, {}, { roomVersionFeatures: new Set(['org.example.x']) })).toBe(true)
  })

  it.each<[Json]>([[{ kind: 'device' }], [{}], [null], ['event_match'], [{ kind: '__proto__' }], [[]]])(
    '%j is not recognized and never holds',
    (condition) => {
      expect(holds(condition, message({ body: 'x' }))).toBe(false)
    },
  )
})

const decide = (event: JsonObject, ruleset: PushRuleset, changes: Partial<PushContext> = {}): PushOutcome =>
  evaluate({ rules: compilePushRules(ruleset), event: new PushEvent(event), context: { ...context, ...changes } })

const own = (rule_id: string, rest: Partial<PushRule> = {}): PushRule => ({
  rule_id,
  default: false,
  enabled: true,
  actions: ['notify'],
  ...rest,
})

describe('client-server-api §Push Rules: order of rules', () => {
  const everything: PushRuleset = {
    override: [own('o1', { conditions: [{ kind: 'event_match', key: 'content.n', pattern: '1' }] })],
    content: [own('c1', { pattern: 'two' })],
    room: [own(ROOM)],
    sender: [own(BOB)],
    underride: [own('u1')],
  }

  it('asks override, content, room, sender, underride, and takes the first that matches', () => {
    expect(decide(message({ n: '1', body: 'two' }), everything).ruleId).toBe('o1')
    expect(decide(message({ body: 'Two!' }), everything).ruleId).toBe('c1')
    expect(decide(message({ body: 'x' }), everything).ruleId).toBe(ROOM)
    expect(decide(message({ body: 'x' }, { room_id: '!other' }), everything).ruleId).toBe(BOB)
    expect(decide(message({ body: 'x' }, { room_id: '!other', sender: '@eve:x' }), everything).ruleId).toBe('u1')
  })

  it('takes the first of a kind, and leaves out disabled ones', () => {
    const rules = (enabled: boolean): PushRuleset => ({
      ...everything,
      content: [own('tea', { pattern: 'tea', enabled }), own('time', { pattern: 'time' })],
    })
    expect(decide(message({ body: "It's time for tea" }), rules(true)).ruleId).toBe('tea')
    expect(decide(message({ body: "It's time for tea" }), rules(false)).ruleId).toBe('time')
    expect(decide(message({}), { ...everything, room: [own(ROOM, { enabled: false })] }).ruleId).toBe(BOB)
  })

  it('needs all conditions of a rule', () => {
    const both = own('both', {
      conditions: [
        { kind: 'event_match', key: 'content.a', pattern: '1' },
        { kind: 'event_match', key: 'content.b', pattern: '1' },
      ],
    })
    const rules = { ...everything, override: [both] }
    expect(decide(message({ a: '1', b: '1' }), rules).ruleId).toBe('both')
    expect(decide(message({ a: '1' }), rules).ruleId).toBe(ROOM)
  })

  it('says nothing about what the user sent, and where no rule matches', () => {
    const nothing = { notify: false, highlight: false, tweaks: {}, actions: [] }
    expect(decide(message({ body: 'two' }, { sender: ALICE }), everything)).toEqual(nothing)
    expect(decide(message({}), { override: [], content: [], room: [], sender: [], underride: [] })).toEqual(nothing)
  })

  it('survives rules that are malformed', () => {
    const rules: PushRuleset = {
      ...everything,
      override: [own('bad', { conditions: [null, 5] })],
      content: [own('no pattern')],
      room: [],
      sender: [],
      underride: [],
    }
    expect(decide(message({ body: 'x' }), rules).notify).toBe(false)
  })
})

describe('client-server-api §Push Rules, Actions', () => {
  const outcome = (actions: readonly Json[]): PushOutcome => {
    const rules: PushRuleset = { override: [], content: [], room: [], sender: [], underride: [own('u', { actions })] }
    return decide(message({}), rules)
  }

  it('notify, sound and highlight', () => {
    const actions: readonly Json[] = ['notify', { set_tweak: 'sound', value: 'ring' }, { set_tweak: 'highlight' }]
    expect(outcome(actions)).toEqual({
      ruleId: 'u',
      notify: true,
      highlight: true,
      sound: 'ring',
      tweaks: { sound: 'ring', highlight: true },
      actions,
    })
    expect(outcome(['notify', { set_tweak: 'highlight', value: false }]).highlight).toBe(false)
    expect(outcome([]).notify).toBe(false)
  })

  it('ignores the historical dont_notify and coalesce, and what is no action', () => {
    expect(outcome(['dont_notify'])).toEqual({ ruleId: 'u', notify: false, highlight: false, tweaks: {}, actions: [] })
    expect(outcome(['coalesce', 'notify']).actions).toEqual(['notify'])
    expect(outcome([null, 5, { set_tweak: 5 }, { set_tweak: 'x' }]).tweaks).toEqual({})
  })

  it('passes other tweaks on, whatever they are called', () => {
    const tweaks = outcome([
      { set_tweak: '__proto__', value: { a: 1 } },
      { set_tweak: 'led', value: 'red' },
    ]).tweaks
    expect(JSON.stringify(tweaks)).toBe('{"__proto__":{"a":1},"led":"red"}')
    expect(Object.getPrototypeOf(tweaks)).toBe(Object.prototype)
  })
})

describe('client-server-api §Predefined Rules', () => {
  const rules = joinPushRules({ userId: ALICE })
  const ruleFor = (event: JsonObject, changes: Partial<PushContext> = {}): string | undefined =>
    decide(event, rules, changes).ruleId

  it('are those of v1.19, in their order', () => {
    const { override, content, room, sender, underride } = defaultPushRules(ALICE)
    expect(override.map((rule) => rule.rule_id)).toEqual([
      '.m.rule.master',
      '.m.rule.suppress_notices',
      '.m.rule.invite_for_me',
      '.m.rule.member_event',
      '.m.rule.is_user_mention',
      '.m.rule.is_room_mention',
      '.m.rule.tombstone',
      '.m.rule.reaction',
      '.m.rule.room.server_acl',
      '.m.rule.suppress_edits',
    ])
    expect(underride.map((rule) => rule.rule_id)).toEqual([
      '.m.rule.call',
      '.m.rule.encrypted_room_one_to_one',
      '.m.rule.room_one_to_one',
      '.m.rule.message',
      '.m.rule.encrypted',
    ])
    expect([...content, ...room, ...sender]).toEqual([])
    expect(override.find((rule) => !rule.enabled)?.rule_id).toBe('.m.rule.master')
  })

  it.each<[string, JsonObject, Partial<PushContext>, string | undefined, Partial<PushOutcome>]>([
    ['a message', message({ body: 'x' }), {}, '.m.rule.message', { notify: true, highlight: false }],
    [
      'a message one to one',
      message({ body: 'x' }),
      { memberCount: 2 },
      '.m.rule.room_one_to_one',
      { sound: 'default' },
    ],
    ['an encrypted event', message({}, { type: 'm.room.encrypted' }), {}, '.m.rule.encrypted', { notify: true }],
    [
      'an encrypted event one to one',
      message({}, { type: 'm.room.encrypted' }),
      { memberCount: 2 },
      '.m.rule.encrypted_room_one_to_one',
      { notify: true, sound: 'default' },
    ],
    ['a call', message({}, { type: 'm.call.invite' }), {}, '.m.rule.call', { notify: true, sound: 'ring' }],
    ['a notice', message({ msgtype: 'm.notice', body: 'x' }), {}, '.m.rule.suppress_notices', { notify: false }],
    [
      'an invite for me',
      message({ membership: 'invite' }, { type: 'm.room.member', state_key: ALICE }),
      {},
      '.m.rule.invite_for_me',
      { notify: true, sound: 'default' },
    ],
    [
      'an invite for another',
      message({ membership: 'invite' }, { type: 'm.room.member', state_key: '@eve:x' }),
      {},
      '.m.rule.member_event',
      { notify: false },
    ],
    [
      'a mention',
      message({ body: 'x', 'm.mentions': { user_ids: [ALICE] } }),
      {},
      '.m.rule.is_user_mention',
      { notify: true, highlight: true, sound: 'default' },
    ],
    [
      'a mention of the room by one who may',
      message({ body: 'x', 'm.mentions': { room: true } }),
      { senderPower: 50 },
      '.m.rule.is_room_mention',
      { notify: true, highlight: true },
    ],
    [
      'a mention of the room by one who may not',
      message({ body: 'x', 'm.mentions': { room: true } }),
      { senderPower: 49 },
      '.m.rule.message',
      { highlight: false },
    ],
    [
      'a room upgrade',
      message({}, { type: 'm.room.tombstone', state_key: '' }),
      {},
      '.m.rule.tombstone',
      { notify: true, highlight: true },
    ],
    ['a tombstone that is no state', message({}, { type: 'm.room.tombstone' }), {}, undefined, { notify: false }],
    ['a reaction', message({}, { type: 'm.reaction' }), {}, '.m.rule.reaction', { notify: false }],
    [
      'server ACLs',
      message({}, { type: 'm.room.server_acl', state_key: '' }),
      {},
      '.m.rule.room.server_acl',
      { notify: false },
    ],
    [
      'an edit',
      message({ body: '* x', 'm.relates_to': { rel_type: 'm.replace' } }),
      {},
      '.m.rule.suppress_edits',
      { notify: false },
    ],
    ['my name in the text alone', message({ body: 'hello Alice (home)' }), {}, '.m.rule.message', { highlight: false }],
    ['another state event', message({}, { type: 'm.room.name', state_key: '' }), {}, undefined, { notify: false }],
  ])('%s', (_name, event, changes, ruleId, outcome) => {
    expect(ruleFor(event, changes)).toBe(ruleId)
    expect(decide(event, rules, changes)).toMatchObject(outcome)
  })

  it('puts own rules before them, but behind .m.rule.master', () => {
    const joined = joinPushRules({
      userId: ALICE,
      own: { override: [own('mine')], underride: [own('mine too')] },
      changes: new Map([
        ['.m.rule.message', { actions: [] }],
        ['.m.rule.reaction', { enabled: false }],
      ]),
    })
    expect(joined.override.slice(0, 3).map((rule) => rule.rule_id)).toEqual([
      '.m.rule.master',
      'mine',
      '.m.rule.suppress_notices',
    ])
    expect(joined.underride[0]?.rule_id).toBe('mine too')
    expect(joined.override.find((rule) => rule.rule_id === '.m.rule.reaction')?.enabled).toBe(false)
    expect(joined.underride.find((rule) => rule.rule_id === '.m.rule.message')).toMatchObject({
      enabled: true,
      actions: [],
    })
  })

  it('are all off with .m.rule.master on, own rules too', () => {
    const joined = joinPushRules({
      userId: ALICE,
      own: { override: [own('mine')] },
      changes: new Map([['.m.rule.master', { enabled: true }]]),
    })
    expect(decide(message({ body: 'x' }), joined)).toMatchObject({ ruleId: '.m.rule.master', notify: false })
  })

  it('does not take a number that is written as a float for an integer', () => {
    const event = message(parseJson('{"n":1.0}') as JsonObject)
    expect(holds({ kind: 'event_property_is', key: 'content.n', value: 1 }, event)).toBe(false)
  })
})
