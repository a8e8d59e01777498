import { describe, expect, it } from 'vitest'
import {
  entryOf,
  type ResolutionInput,
  resolveState,
  type StateSet,
  toMap,
} from '../../../server/protocol/state-resolution/index.ts'
import { type LargeRoom, makeLargeRoom } from './large-room.ts'
import { resolveNaively } from './naive.ts'

const MEMBERS = 5_000
const FORK = 500

function resolveCounted(room: LargeRoom, states: ResolutionInput['states'], withRanks = true) {
  let lookups = 0
  const started = performance.now()
  const { state, missing } = resolveState({
    roomId: room.roomId,
    rules: room.rules,
    states,
    eventById: (eventId) => {
      lookups += 1
      return room.eventById(eventId)
    },
    ...(withRanks ? { ranks: room.rank } : {}),
  })
  return { state, missing, lookups, ms: performance.now() - started }
}

const full = (states: readonly StateSet[]): ReadonlyMap<string, string>[] => states.map(toMap)

describe.each(['2', '11', '12'])('rooms §State resolution of a room with 5,000 members, version %s', (version) => {
  const room = makeLargeRoom(version, MEMBERS, FORK)

  it('resolves two forks of 500 events as the algorithm is written down', () => {
    const { state, missing, lookups, ms } = resolveCounted(room, room.forks)
    console.log(`version ${version}: ${ms.toFixed(1)} ms, ${lookups} of ${room.events.size} events looked at`)
    expect(missing).toEqual([])
    expect(toMap(state)).toEqual(resolveNaively(room, full(room.forks)))
  })

  it('looks at each event at most once, and at few that are older than the forks', () => {
    const { lookups } = resolveCounted(room, room.forks)
    expect(room.events.size).toBeGreaterThan(MEMBERS + FORK)
    // The forks' own events, the ones that they replaced, and the power levels and members that they cite.
    expect(lookups).toBeLessThan(4 * FORK)
  })

  it('gives the outcome as differences from the base that it was given', () => {
    const { state } = resolveCounted(room, room.forks)
    expect(state.base).toBe(room.common)
    expect(state.delta.size).toBeLessThan(2 * FORK)
    const untouched = [...room.common.keys()].filter((key) => room.forks.every(({ delta }) => !delta.has(key)))
    for (const key of untouched) expect(entryOf(state, key)).toBe(room.common.get(key))
  })

  it('comes to the same for full maps, and without ranks', () => {
    const expected = toMap(resolveCounted(room, room.forks).state)
    expect(toMap(resolveCounted(room, full(room.forks)).state)).toEqual(expected)
    expect(toMap(resolveCounted(room, room.forks, false).state)).toEqual(expected)
  })
})

describe.each(['2', '12'])('rooms §State resolution, auth chains of 100,000 events, version %s', (version) => {
  it('does not recurse', () => {
    const room = makeLargeRoom(version, 3, 0)
    const events = new Map(room.events)
    const key = 'm.room.member\0@member0:server0.example'
    const fork = (side: string): StateSet => {
      // A user who changes her name again and again: each event is authorized by the one before it.
      let previous = room.common.get(key) as string
      const original = room.events.get(previous)
      if (!original) throw new Error('member0 is not in the room')
      for (let index = 0; index < 50_000; index += 1) {
        const eventId = `$${side}${index}`
        const authEvents = (original.pdu.auth_events as string[]).filter(
          (id) => room.events.get(id)?.pdu.state_key !== original.pdu.state_key,
        )
        const pdu = { ...original.pdu, auth_events: [...authEvents, previous], origin_server_ts: index }
        events.set(eventId, { eventId, pdu })
        previous = eventId
      }
      return { base: room.common, delta: new Map([[key, previous]]) }
    }
    const [left, right] = [fork('left'), fork('right')]
    const order = new Map([...events.keys()].map((eventId, index) => [eventId, index]))
    const large: LargeRoom = {
      ...room,
      eventById: (eventId) => events.get(eventId),
      rank: (eventId: string) => order.get(eventId),
    }
    const outcome = toMap(resolveCounted(large, [left, right]).state)
    expect(outcome.get(key)).toBe('$right49999')
    expect(toMap(resolveCounted(large, [right, left], false).state)).toEqual(outcome)
  })
})
