import { describe, expect, it } from 'vitest'
import { parseLevel, readPowerLevels } from '../../../server/protocol/auth-rules/index.ts'
import { parseJson } from '../../../server/protocol/json.ts'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { alice, allowed, bob, carol, levelsOf, rejected, situation, versions } from './situation.ts'

const LEVELS = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'] as const
const MAPS = ['users', 'events', 'notifications'] as const

/** What the rules say when somebody replaces the power levels. Everybody is joined; bob has 50 unless it is said otherwise. */
const replace = (
  version: string,
  change: { readonly before?: JsonObject; readonly after: JsonObject; readonly by?: string },
) => {
  const { by = bob, before, after } = change
  return situation(version, {
    members: { [bob]: 'join', [carol]: 'join' },
    ...(before ? { levels: { events: { 'm.room.power_levels': 0 }, ...before } } : {}),
  }).judge({
    by,
    type: 'm.room.power_levels',
    key: '',
    content: before ? { events: { 'm.room.power_levels': 0 }, ...after } : after,
  })
}
const inLevels = (version: string, users: JsonObject = { [bob]: 50 }): JsonObject => levelsOf(version, {}, users)

describe('rooms/v1 and v10 §Event format: values of power levels', () => {
  const parse = (version: string, value: Json) => parseLevel(value, getRoomVersion(version))

  it.each(ROOM_VERSIONS)('version %s: takes integers', (version) => {
    for (const level of [0, 1, -1, 50, 100, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER])
      expect(parse(version, level)).toBe(level)
  })

  it.each(versions(1, 9))('version %s: takes strings of an integer', (version) => {
    for (const [text, level] of [
      ['100', 100],
      ['000100', 100],
      ['+100', 100],
      ['-100', -100],
      [' 100 ', 100],
      [' 00100 ', 100],
      [' +100 ', 100],
      ['\t-100\n', -100],
      ['\u00a07\u3000', 7],
    ] as const) {
      expect(parse(version, text), JSON.stringify(text)).toBe(level)
    }
  })

  it.each(versions(1, 9))('version %s: takes no other strings', (version) => {
    for (const text of [
      '',
      ' ',
      '5.0',
      '1e2',
      '0x10',
      '+-5',
      '- 5',
      '1 0',
      '1_000',
      'ten',
      'NaN',
      'Infinity',
      '٣',
      '\ufeff5',
      `1${'0'.repeat(400)}`,
    ]) {
      expect(parse(version, text), JSON.stringify(text)).toBeUndefined()
    }
  })

  it.each(versions(1, 5))('version %s: drops the fraction of floats, after the exponent', (version) => {
    for (const [text, level] of [
      ['5.114698E4', 51_146],
      ['50.57', 50],
      ['-50.57', -50],
      ['50.0', 50],
      ['1e2', 100],
    ] as const) {
      expect(parse(version, parseJson(text)), text).toBe(level)
    }
    expect(parse(version, parseJson('1e400'))).toBeUndefined()
  })

  it.each(versions(10, 12))('version %s: takes nothing but integers', (version) => {
    for (const value of ['100', ' 5 ', 50.57, parseJson('1e2'), parseJson('50.0')])
      expect(parse(version, value)).toBeUndefined()
  })

  it.each(ROOM_VERSIONS)('version %s: takes no other types', (version) => {
    for (const value of [null, true, false, [], [5], {}, { valueOf: 5 }] as Json[])
      expect(parse(version, value)).toBeUndefined()
  })
})

describe.each(ROOM_VERSIONS)('rooms/v%s §Authorization rules: m.room.power_levels', (version) => {
  const before = inLevels(version)
  const users = before.users as JsonObject

  it('rejects levels that are not integers, naming them', () => {
    for (const name of LEVELS) {
      for (const value of [null, true, [], {}, 'high', '', '5.5'] as const) {
        expect(replace(version, { after: { [name]: value }, by: alice }), `${name} ${JSON.stringify(value)}`).toEqual(
          rejected(`content.${name}`),
        )
      }
    }
  })

  it('rejects maps that are no objects, or have values that are not integers', () => {
    for (const name of MAPS) {
      const isChecked = name !== 'notifications' || Number(version) >= 6
      for (const value of [null, 5, 'x', [], [5], { [bob]: null }, { [bob]: 'high' }, { [bob]: {} }] satisfies Json[]) {
        const verdict = replace(version, { after: { [name]: value }, by: alice })
        expect(verdict, `${name} ${JSON.stringify(value)}`).toEqual(isChecked ? rejected(`content.${name}`) : allowed)
      }
    }
  })

  it('rejects users with keys that are no user IDs', () => {
    for (const key of ['', 'bob', '@bob', '#bob:two.example', 'bob:two.example', '@bob:', '@bob:two example']) {
      expect(replace(version, { after: { users: { [key]: 1 } }, by: alice }), key).toEqual(rejected('content.users'))
    }
    expect(replace(version, { after: { users: { '@Old User:two.example': 1 } }, by: alice })).toEqual(allowed)
  })

  it('allows anything readable where the room has none yet, as far as the sender may send state', () => {
    expect(replace(version, { after: { users: { [bob]: 1_000 }, ban: 1_000 }, by: alice })).toEqual(allowed)
    expect(replace(version, { after: {}, by: alice })).toEqual(allowed)
    expect(replace(version, { after: {} })).toEqual(rejected('too little power to send'))
  })

  it.each(LEVELS)('lets %s be added, changed and removed up to the power of the sender, not above', (name) => {
    const alter = (from: JsonObject, to: JsonObject) =>
      replace(version, { before: { ...before, ...from }, after: { users, ...to } })
    expect(alter({}, { [name]: 50 })).toEqual(allowed)
    expect(alter({}, { [name]: 51 })).toEqual(rejected(name))
    expect(alter({ [name]: 50 }, { [name]: 40 })).toEqual(allowed)
    expect(alter({ [name]: 40 }, { [name]: 51 })).toEqual(rejected(name))
    expect(alter({ [name]: 50 }, {})).toEqual(allowed)
    expect(alter({ [name]: 51 }, { [name]: 50 })).toEqual(rejected(name))
    expect(alter({ [name]: 51 }, {})).toEqual(rejected(name))
    expect(alter({ [name]: 51 }, { [name]: 51 })).toEqual(allowed)
  })

  it.each(['events', 'notifications'] as const)('does so for each entry of %s', (name) => {
    const isChecked = name === 'events' || Number(version) >= 6
    const withLevels = (entry: JsonObject): JsonObject => ({
      users,
      [name]: { ...(name === 'events' ? { 'm.room.power_levels': 0 } : {}), ...entry },
    })
    const alter = (from: JsonObject, to: JsonObject) =>
      situation(version, {
        members: { [bob]: 'join' },
        levels: { state_default: 0, ...withLevels(from) },
      }).judge({ by: bob, type: 'm.room.power_levels', key: '', content: { state_default: 0, ...withLevels(to) } })
    const above = isChecked ? rejected('room') : allowed
    expect(alter({}, { room: 50 })).toEqual(allowed)
    expect(alter({}, { room: 51 })).toEqual(above)
    expect(alter({ room: 10 }, { room: 51 })).toEqual(above)
    expect(alter({ room: 51 }, { room: 10 })).toEqual(above)
    expect(alter({ room: 51 }, {})).toEqual(above)
    expect(alter({ room: 50 }, {})).toEqual(allowed)
    expect(alter({ room: 51 }, { room: 51 })).toEqual(allowed)
  })

  it('lets users be raised to the power of the sender, not above, the sender included', () => {
    const raise = (entry: JsonObject) => replace(version, { before, after: { users: { ...users, ...entry } } })
    expect(raise({ [carol]: 50 })).toEqual(allowed)
    expect(raise({ [carol]: 51 })).toEqual(rejected(carol))
    expect(raise({ [bob]: 51 })).toEqual(rejected(bob))
  })

  it('lets nobody lower, remove or raise an equal, or anybody above', () => {
    for (const carols of [50, 80]) {
      const both = inLevels(version, { [bob]: 50, [carol]: carols })
      const alter = (entry: JsonObject) => replace(version, { before: both, after: { users: { ...users, ...entry } } })
      expect(alter({})).toEqual(rejected(carol))
      expect(alter({ [carol]: 10 })).toEqual(rejected(carol))
      expect(alter({ [carol]: carols })).toEqual(allowed)
    }
    const lower = inLevels(version, { [bob]: 50, [carol]: 49 })
    expect(replace(version, { before: lower, after: { users } })).toEqual(allowed)
  })

  it('lets the sender lower or remove the own entry', () => {
    const { [bob]: _, ...others } = users
    expect(replace(version, { before, after: { users: { ...users, [bob]: 5 } } })).toEqual(allowed)
    expect(replace(version, { before, after: { users: others } })).toEqual(allowed)
  })

  it('counts users_default as the power of who is not named', () => {
    const withDefault = { users, users_default: 30 }
    expect(replace(version, { before: withDefault, after: { ...withDefault, ban: 30 }, by: carol })).toEqual(allowed)
    expect(replace(version, { before: withDefault, after: { ...withDefault, invite: 31 }, by: carol })).toEqual(
      rejected('invite'),
    )
  })
})

describe('rooms/v1 §Deprecated event content schemas', () => {
  it.each(versions(1, 9))('version %s: sees no change where a number is written as a string', (version) => {
    const before = { users: { [alice]: '100', [bob]: 50 }, ban: '90' }
    expect(replace(version, { before, after: { users: { [alice]: 100, [bob]: ' 50 ' }, ban: 90 } })).toEqual(allowed)
  })

  it.each(versions(10, 12))('version %s: rejects strings', (version) => {
    expect(replace(version, { after: { ban: '50' }, by: alice })).toEqual(rejected('content.ban is not an integer'))
    expect(replace(version, { after: { users: { [bob]: '50' } }, by: alice })).toEqual(rejected('content.users'))
    expect(replace(version, { after: { events: { 'm.room.topic': '5' } }, by: alice })).toEqual(
      rejected('content.events'),
    )
    expect(replace(version, { after: { notifications: { room: '5' } }, by: alice })).toEqual(
      rejected('content.notifications'),
    )
  })
})

describe('rooms/v12 §Authorization rules, 10.4', () => {
  const judge = (version: string, named: string) =>
    situation(version, { create: { additional_creators: [bob] } }).judge({
      by: alice,
      type: 'm.room.power_levels',
      key: '',
      content: { users: { [named]: 100 } },
    })

  it('rejects power levels that name a creator', () => {
    expect(judge('12', alice)).toEqual(rejected('room creator'))
    expect(judge('12', bob)).toEqual(rejected('room creator'))
    expect(judge('12', carol)).toEqual(allowed)
  })

  it.each(versions(1, 11))('version %s: lets them be named', (version) => {
    expect(judge(version, alice)).toEqual(allowed)
    expect(judge(version, bob)).toEqual(allowed)
  })

  it('lets creators set any level, and take it away again', () => {
    const before = { users: { [bob]: Number.MAX_SAFE_INTEGER }, ban: Number.MAX_SAFE_INTEGER }
    expect(replace('12', { before, after: { users: {}, ban: 50 }, by: alice })).toEqual(allowed)
  })
})

describe('power levels that are read', () => {
  it.each(['9', '12'])('version %s: skips values that are no levels, and never throws', (version) => {
    const { rules, pdu } = situation(version)
    const read = (content: JsonObject) =>
      readPowerLevels(pdu({ by: alice, type: 'm.room.power_levels', key: '', content }), rules)
    const levels = read({ ban: null, kick: {}, users: { [bob]: [], [carol]: 5 }, events: 'x', notifications: [5] })
    expect([...levels.levels]).toEqual([])
    expect([...levels.users]).toEqual([[carol, 5]])
    expect([...levels.events]).toEqual([])
    expect([...levels.notifications]).toEqual([])
  })

  it('keeps keys apart from what objects inherit', () => {
    const content = JSON.parse('{"users":{"__proto__":7},"events":{"constructor":8,"__proto__":9}}') as JsonObject
    const { state } = situation('11', { levels: content })
    expect(state.powerToSend('constructor', true)).toBe(8)
    expect(state.powerToSend('__proto__', true)).toBe(9)
    expect(state.powerToSend('toString', true)).toBe(50)
    expect(state.power('constructor')).toBe(0)
  })

  it('are read once for one event', () => {
    const { rules, pdu } = situation('11')
    const event = pdu({ by: alice, type: 'm.room.power_levels', key: '', content: { users: { [bob]: 50 } } })
    expect(readPowerLevels(event, rules)).toBe(readPowerLevels(event, rules))
  })
})
