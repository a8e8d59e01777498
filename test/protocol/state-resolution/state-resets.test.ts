import { describe, expect, it } from 'vitest'
import type { KnownEvent } from '../../../server/protocol/auth-rules/index.ts'
import { resolveState, stateMapKey, toMap } from '../../../server/protocol/state-resolution/index.ts'
import {
  alice,
  bob,
  carol,
  type Dag,
  dave,
  type FullState,
  join,
  joinRules,
  member,
  newPublicRoom,
  powerLevels,
  topic,
} from './dag.ts'

const withEntry = (dag: Dag, state: FullState, name: string): FullState => {
  const { type, state_key: stateKey } = dag.pdu(name)
  return new Map(state).set(stateMapKey(type, stateKey as string), dag.id(name))
}
const resolve = (dag: Dag, states: readonly FullState[], eventById: Dag['eventById'] = dag.eventById) => {
  const { state, missing } = resolveState({ roomId: dag.roomId, rules: dag.rules, states, eventById, ranks: dag.rank })
  return { told: dag.told(toMap(state)), missing }
}
const levels = (dag: Dag, users: Readonly<Record<string, number>>) =>
  dag.rules.privilegedCreators ? users : { [alice]: 100, ...users }

describe('MSC4297 problem A: conflicting events that the unconflicted state does not allow', () => {
  /** One server was told of an outdated join rule; alice, who set both of them, has left on both sides. */
  const story = (version: string) => {
    const dag = newPublicRoom(version, { users: { [bob]: 100 } })
    dag.add(join('bob joins', bob))
    dag.add(joinRules('closed', alice, 'invite'))
    dag.add(member('alice leaves', alice, alice, 'leave'))
    dag.add(topic('topic by bob', bob))
    const right = dag.stateAfter('topic by bob')
    const outdated = withEntry(dag, dag.stateAfter('alice leaves'), 'public')
    return resolve(dag, [right, outdated]).told
  }

  it.each(['2', '6', '11'])('version %s: the room loses its join rules', (version) => {
    expect(story(version)).not.toHaveProperty(['m.room.join_rules'])
  })

  it('version 12: the newest join rule stays', () => {
    expect(story('12')).toMatchObject({ 'm.room.join_rules': 'closed', [`m.room.member ${alice}`]: 'alice leaves' })
  })
})

describe('MSC4297 problem B: conflicting events that need others between them', () => {
  /** One server was told of outdated power levels; in the auth chains of both sides are all there ever were. */
  const story = (version: string) => {
    const dag = newPublicRoom(version)
    for (const who of [bob, carol]) dag.add(join(`${who} joins`, who))
    dag.add(powerLevels('alice promotes bob', alice, levels(dag, { [bob]: 90 })))
    dag.add(powerLevels('bob promotes carol', bob, levels(dag, { [bob]: 90, [carol]: 80 })))
    dag.add(powerLevels('carol promotes dave', carol, levels(dag, { [bob]: 90, [carol]: 80, [dave]: 70 })))
    dag.add(topic('topic by carol', carol))
    const right = dag.stateAfter('topic by carol')
    return resolve(dag, [right, withEntry(dag, right, 'levels')]).told
  }

  it.each(['2', '6', '11'])('version %s: the power levels are reset to the outdated ones', (version) => {
    expect(story(version)).toMatchObject({ 'm.room.power_levels': 'levels' })
  })

  it('version 12: the newest power levels stay', () => {
    expect(story('12')).toMatchObject({ 'm.room.power_levels': 'carol promotes dave' })
  })
})

describe('rooms/v2 §Rejected events', () => {
  const forks = (version: string) => {
    const dag = newPublicRoom(version, { users: { [bob]: 50 } })
    dag.add(join('bob joins', bob))
    dag.add(topic('topic by bob', bob))
    dag.add(topic('topic by alice', alice, { after: ['bob joins'], ts: 1 }))
    return dag
  }
  const rejecting =
    (dag: Dag, name: string, rejected: KnownEvent['rejected']): Dag['eventById'] =>
    (eventId) => {
      const event = dag.eventById(eventId)
      return event && eventId === dag.id(name) ? { ...event, rejected } : event
    }
  const states = (dag: Dag) => [dag.stateAfter('topic by bob'), dag.stateAfter('topic by alice')]

  it.each(['2', '11', '12'])('version %s: an event that only the state before it forbade may still win', (version) => {
    const dag = forks(version)
    const { told } = resolve(dag, states(dag), rejecting(dag, 'topic by bob', 'byState'))
    expect(told).toMatchObject({ 'm.room.topic': 'topic by bob' })
  })

  it.each(['2', '11', '12'])('version %s: an event that its own auth events forbade never does', (version) => {
    const dag = forks(version)
    const { told } = resolve(dag, states(dag), rejecting(dag, 'topic by bob', 'byAuthEvents'))
    expect(told).toMatchObject({ 'm.room.topic': 'topic by alice' })
  })

  it('version 12: a rejected auth event does not stand in for state that is not there', () => {
    const dag = forks('12')
    const { told } = resolve(dag, states(dag), rejecting(dag, 'bob joins', 'byState'))
    // Nothing but the auth events says that bob is joined, since he is so on both sides.
    expect(told).toMatchObject({ 'm.room.topic': 'topic by alice' })
  })

  it.each(['1', '2', '11', '12'])(
    'version %s: goes on without events that are not known, and names them',
    (version) => {
      const dag = forks(version)
      const lost = dag.id('topic by bob')
      const { told, missing } = resolve(dag, states(dag), (id) => (id === lost ? undefined : dag.eventById(id)))
      expect(missing).toEqual([lost])
      expect(told).toMatchObject({ 'm.room.topic': 'topic by alice' })
    },
  )

  it.each(['2', '12'])('version %s: takes no notice of events of another room', (version) => {
    const dag = forks(version)
    const foreign = dag.id('topic by bob')
    const eventById: Dag['eventById'] = (eventId) => {
      const event = dag.eventById(eventId)
      return event && eventId === foreign ? { ...event, pdu: { ...event.pdu, room_id: '!other:one.example' } } : event
    }
    expect(resolve(dag, states(dag), eventById).told).toMatchObject({ 'm.room.topic': 'topic by alice' })
  })
})
