import { describe, expect, it } from 'vitest'
import { checkAuth, roomStateOf } from '../../../server/protocol/auth-rules/index.ts'
import type { Json, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { alice, allowed, bob, rejected, versions } from './situation.ts'

const judge = (version: string, changes: Partial<Pdu> & { readonly without?: keyof Pdu } = {}) => {
  const rules = getRoomVersion(version)
  const creator: JsonObject = rules.creatorIsSender ? {} : { creator: alice }
  const { without, ...changed } = changes
  const pdu: Pdu = {
    ...(rules.roomIdIsCreateHash ? {} : { room_id: '!room:one.example' }),
    type: 'm.room.create',
    sender: alice,
    state_key: '',
    content: { room_version: version, ...creator },
    prev_events: [],
    auth_events: [],
    depth: 1,
    origin_server_ts: 1,
    hashes: { sha256: '' },
    signatures: {},
    ...changed,
  }
  const kept = Object.fromEntries(Object.entries(pdu).filter(([key]) => key !== without)) as unknown as Pdu
  const nothing = roomStateOf(() => undefined, rules)
  return checkAuth(kept, nothing, rules)
}
const content = (version: string, more: JsonObject): JsonObject => ({
  ...(Number(version) < 11 ? { creator: alice } : {}),
  ...more,
})

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules, 1: m.room.create', (version) => {
  it('is allowed as the first event of a room', () => {
    expect(judge(version)).toEqual(allowed)
  })

  it('1.1: is rejected if it has previous events', () => {
    const reference = Number(version) < 3 ? (['$before:one.example', {}] as const) : '$before'
    expect(judge(version, { prev_events: [reference] })).toEqual(rejected('prev_events'))
  })

  it('1.3: is rejected if its room_version is present and not recognized', () => {
    for (const roomVersion of ['0', '13', 'org.example.own', '', 12, null, ['1'], { version: '1' }] as const) {
      expect(judge(version, { content: content(version, { room_version: roomVersion }) })).toEqual(
        rejected('room_version'),
      )
    }
  })

  it('1.3: is allowed without a room_version', () => {
    expect(judge(version, { content: content(version, {}) })).toEqual(allowed)
  })
})

describe('rooms/v1 §Authorization rules, 1.2', () => {
  it.each(versions(1, 11))("version %s: rejects a room_id of another domain than the sender's", (version) => {
    expect(judge(version, { sender: bob })).toEqual(rejected('room_id'))
    expect(judge(version, { room_id: '!room:one.example:8448' })).toEqual(rejected('room_id'))
    expect(judge(version, { without: 'room_id' })).toEqual(rejected('room_id'))
    expect(judge(version, { sender: bob, room_id: '!room:two.example' })).toEqual(allowed)
  })
})

describe('rooms/v12 §Authorization rules, 1.2', () => {
  it('rejects a create event that has a room_id', () => {
    expect(judge('12', { room_id: '!room:one.example' })).toEqual(rejected('room_id'))
  })
})

describe('rooms/v1 and v11 §Authorization rules, 1.4: creator', () => {
  it.each(versions(1, 10))('version %s: rejects a create event without it', (version) => {
    expect(judge(version, { content: { room_version: version } })).toEqual(rejected('content.creator'))
  })

  it.each(versions(11, 12))('version %s: does not need it', (version) => {
    expect(judge(version, { content: { room_version: version } })).toEqual(allowed)
  })
})

describe('rooms/v12 §Authorization rules, 1.4: additional_creators', () => {
  const judgeCreators = (version: string, creators: Json) =>
    judge(version, { content: content(version, { additional_creators: creators }) })

  it('allows a list of user IDs, also an empty one', () => {
    expect(judgeCreators('12', [])).toEqual(allowed)
    expect(judgeCreators('12', [bob, '@Old User:two.example'])).toEqual(allowed)
  })

  it.each([
    ['no list', bob],
    ['null', null],
    ['an object', { [bob]: true }],
    ['a list with a number', [bob, 5]],
    ['a list with null', [null]],
    ['a list with a list', [[bob]]],
    ['a list with text that is no user ID', [bob, 'carol']],
    ['a list with a room alias', ['#bob:two.example']],
    ['a list with a user ID of a bad domain', ['@bob:two example']],
    ['a list with a user ID that is too long', [`@${'b'.repeat(250)}:two.example`]],
  ] satisfies [string, Json][])('rejects %s', (_, creators) => {
    expect(judgeCreators('12', creators)).toEqual(rejected('additional_creators'))
  })

  it.each(versions(1, 11))('version %s: does not look at it', (version) => {
    expect(judgeCreators(version, 'anything')).toEqual(allowed)
  })
})
