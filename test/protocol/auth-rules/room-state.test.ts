import { describe, expect, it } from 'vitest'
import { roomStateOf, type StateLookup } from '../../../server/protocol/auth-rules/index.ts'
import { ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import { alice, bob, carol, levelsOf, situation, versions } from './situation.ts'

describe('client-server-api §m.room.power_levels', () => {
  it.each(versions(1, 11))('version %s: without power levels the creator has 100, and everybody else 0', (version) => {
    const { state } = situation(version)
    expect([state.power(alice), state.power(bob)]).toEqual([100, 0])
  })

  it.each(versions(1, 11))('version %s: with power levels the creator has what they say', (version) => {
    const { state } = situation(version, { levels: { users: { [bob]: 50 }, users_default: 10 } })
    expect([state.power(alice), state.power(bob), state.power(carol)]).toEqual([10, 50, 10])
  })

  it('version 12: creators have infinite power, with power levels or without', () => {
    const create = { additional_creators: [bob] }
    for (const setting of [{ create }, { create, levels: { users: { [carol]: 100 }, users_default: 10 } }]) {
      const { state } = situation('12', setting)
      expect([state.power(alice), state.power(bob)]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
      expect(state.power('@x:y')).toBe(setting.levels ? 10 : 0)
    }
  })

  it.each(ROOM_VERSIONS)('version %s: has defaults for what is not set', (version) => {
    for (const setting of [{}, { levels: {} }]) {
      const { state } = situation(version, setting)
      expect({
        invite: state.powerNeeded('invite'),
        kick: state.powerNeeded('kick'),
        ban: state.powerNeeded('ban'),
        redact: state.powerNeeded('redact'),
        message: state.powerToSend('m.room.message', false),
        topic: state.powerToSend('m.room.topic', true),
      }).toEqual({ invite: 0, kick: 50, ban: 50, redact: 50, message: 0, topic: 50 })
    }
  })
})

describe('rooms/v11 §Remove the creator property', () => {
  const create = { creator: bob }

  it.each(versions(1, 10))('version %s: the creator is content.creator', (version) => {
    const { state } = situation(version, { create })
    expect([state.creator, [...state.creators]]).toEqual([bob, [bob]])
    expect([state.power(alice), state.power(bob)]).toEqual([0, 100])
  })

  it.each(versions(11, 12))('version %s: the creator is the sender of the create event', (version) => {
    expect(situation(version, { create }).state.creator).toBe(alice)
  })

  it.each(versions(1, 10))('version %s: nobody is the creator where content.creator is no string', (version) => {
    const { state } = situation(version, { create: { creator: [alice] } })
    expect([state.creator, [...state.creators]]).toEqual([undefined, []])
  })
})

describe('room state', () => {
  it('takes invite for the join rule where there is none, and gives others as they are', () => {
    expect(situation('11').state.joinRule).toBe('invite')
    expect(situation('11', { rule: 'org.example.own' }).state.joinRule).toBe('org.example.own')
    expect(situation('11', { rule: ['public'] }).state.joinRule).toBe('')
  })

  it('looks nothing up before it is asked, and create event and power levels only once', () => {
    const { state, rules } = situation('12', { levels: levelsOf('12', {}, { [bob]: 50 }), members: { [bob]: 'join' } })
    const asked: string[] = []
    const find: StateLookup = (type, stateKey) => {
      asked.push(type)
      return state.find(type, stateKey)
    }
    const counted = roomStateOf(find, rules)
    expect(asked).toEqual([])
    for (let round = 0; round < 3; round += 1) {
      counted.power(bob)
      counted.powerNeeded('ban')
      counted.powerToSend('m.room.topic', true)
    }
    expect(asked.toSorted()).toEqual(['m.room.create', 'm.room.power_levels'])
  })
})
