import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../../server/protocol/json.ts'
import { resolveState, toMap } from '../../../server/protocol/state-resolution/index.ts'
import { alice, bob, carol, type Dag, dave, join, joinRules, member, newPublicRoom, powerLevels, topic } from './dag.ts'

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex')
const outcome = (dag: Dag, ...names: string[]): Readonly<Record<string, string>> => dag.told(dag.resolve(...names))

function roomOfThree(): Dag {
  const dag = newPublicRoom('1', { users: { [bob]: 50 } })
  for (const who of [bob, carol]) dag.add(join(`${who} joins`, who))
  dag.add(topic('first', alice))
  return dag
}
const fork = { after: ['first'] }

describe('rooms/v1 §State resolution', () => {
  it('takes the event with the highest depth, whoever sent it and whenever', () => {
    const dag = roomOfThree()
    dag.add(topic('by bob', bob, { ...fork, ts: 1, depth: 80 }))
    dag.add(topic('by alice', alice, { ...fork, depth: 79 }))
    expect(outcome(dag, 'by bob', 'by alice')).toMatchObject({ 'm.room.topic': 'by bob' })
  })

  it('takes the lowest SHA-1 of the event ID where the depth is the same', () => {
    const dag = roomOfThree()
    const names = ['one', 'two', 'three', 'four', 'five']
    for (const name of names) dag.add(topic(name, bob, fork))
    const [lowest] = names.toSorted((a, b) => (sha1(dag.id(a)) < sha1(dag.id(b)) ? -1 : 1))
    expect(outcome(dag, ...names)).toMatchObject({ 'm.room.topic': lowest })
  })

  it('compares depths exactly that no JavaScript number can hold', () => {
    const dag = roomOfThree()
    const names = ['one', 'two']
    for (const name of names) dag.add(topic(name, bob, fork))
    for (const higher of names) {
      const eventById: Dag['eventById'] = (eventId) => {
        const event = dag.eventById(eventId)
        const depth = dag.name(eventId) === higher ? '9223372036854775807' : '9223372036854775806'
        const isTopic = names.includes(dag.name(eventId))
        return event && isTopic ? { ...event, pdu: { ...event.pdu, depth: exact(depth) } } : event
      }
      const states = names.map((name) => dag.stateAfter(name))
      const { state } = resolveState({ roomId: dag.roomId, rules: dag.rules, states, eventById })
      expect(dag.told(toMap(state))).toMatchObject({ 'm.room.topic': higher })
    }
  })

  it('keeps an entry that only some states have, unchecked: it is not in conflict', () => {
    const dag = roomOfThree()
    dag.add(joinRules('closed', alice, 'invite', fork))
    dag.add(join('dave joins', dave, fork))
    expect(outcome(dag, 'closed', 'dave joins')).toMatchObject({ [`m.room.member ${dave}`]: 'dave joins' })
  })

  it('starts with the lowest power levels and goes on while each allows the next', () => {
    const dag = roomOfThree()
    dag.add(powerLevels('low', alice, { [alice]: 100, [bob]: 60 }, { ...fork, depth: 50 }))
    dag.add(powerLevels('middle', alice, { [alice]: 100, [bob]: 10 }, { ...fork, depth: 60 }))
    dag.add(powerLevels('high', bob, { [alice]: 100, [bob]: 50, [carol]: 1 }, { ...fork, depth: 70 }))
    expect(outcome(dag, 'low', 'middle', 'high')).toMatchObject({ 'm.room.power_levels': 'middle' })
    expect(outcome(dag, 'high', 'low')).toMatchObject({ 'm.room.power_levels': 'high' })
    expect(outcome(dag, 'high', 'middle')).toMatchObject({ 'm.room.power_levels': 'middle' })
    expect(outcome(dag, 'low', 'middle')).toMatchObject({ 'm.room.power_levels': 'middle' })
  })

  it('stops at the first power levels that are not allowed, though later ones would be', () => {
    const dag = roomOfThree()
    dag.add(powerLevels('a', alice, { [alice]: 100 }, { ...fork, depth: 50 }))
    dag.add(powerLevels('b', bob, { [alice]: 100, [bob]: 50, [carol]: 50 }, { ...fork, depth: 60 }))
    dag.add(powerLevels('c', alice, { [alice]: 100, [bob]: 20 }, { ...fork, depth: 70 }))
    expect(outcome(dag, 'a', 'b', 'c')).toMatchObject({ 'm.room.power_levels': 'a' })
  })

  it('settles power levels before join rules, these before members, and members before the rest', () => {
    const dag = roomOfThree()
    dag.add(powerLevels('demoted', alice, { [alice]: 100 }, { ...fork, depth: 90 }))
    dag.add(joinRules('closed by bob', bob, 'invite', { ...fork, depth: 91 }))
    dag.add(topic('topic by bob', bob, { after: ['closed by bob'], depth: 92 }))
    expect(outcome(dag, 'demoted', 'topic by bob')).toMatchObject({ 'm.room.power_levels': 'demoted' })
    // Bob's are newer, but with the levels that won he may not set anything.
    expect(outcome(dag, 'demoted', 'topic by bob')).toMatchObject({
      'm.room.join_rules': 'public',
      'm.room.topic': 'first',
    })
  })

  it('can undo a ban by a change of profile with a higher depth only if the rules allow it', () => {
    const dag = roomOfThree()
    dag.add(member('carol is banned', bob, carol, 'ban', fork))
    dag.add(join('carol renamed', carol, { ...fork, depth: 99 }))
    expect(outcome(dag, 'carol is banned', 'carol renamed')).toMatchObject({
      [`m.room.member ${carol}`]: 'carol is banned',
    })
  })

  it('takes the oldest event where none is allowed any more', () => {
    const dag = newPublicRoom('1', { users: { [bob]: 50 } })
    dag.add(join('bob joins', bob))
    const start = { after: ['bob joins'] }
    dag.add(topic('older', bob, { ...start, depth: 40 }))
    dag.add(topic('newer', bob, { ...start, depth: 41 }))
    dag.add(powerLevels('bob is demoted', alice, { [alice]: 100 }, start))
    const demoted = (name: string) =>
      new Map([...dag.stateAfter(name), ['m.room.power_levels\0', dag.id('bob is demoted')]])
    const states = [demoted('older'), demoted('newer')]
    const { state } = resolveState({ roomId: dag.roomId, rules: dag.rules, states, eventById: dag.eventById })
    expect(dag.told(toMap(state))).toMatchObject({ 'm.room.topic': 'older' })
  })
})

/** A depth as `parseJson` gives it. */
const exact = (text: string): number => parseJson(text) as unknown as number
