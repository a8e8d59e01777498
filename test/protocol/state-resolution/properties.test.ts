import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveState, type StateSet, stateMapKey, toMap } from '../../../server/protocol/state-resolution/index.ts'
import type { Dag, FullState } from './dag.ts'
import { resolveNaively } from './naive.ts'
import { garble, moves, pickStates, playOut } from './random-dag.ts'

const picks = fc.array(fc.nat(60), { minLength: 1, maxLength: 4 })
const garbling = fc.array(fc.nat(10_000), { maxLength: 3 })

const resolved = (dag: Dag, states: readonly (FullState | StateSet)[], ranked = true): Map<string, string> =>
  toMap(
    resolveState({
      roomId: dag.roomId,
      rules: dag.rules,
      states,
      eventById: dag.eventById,
      ...(ranked ? { ranks: dag.rank } : {}),
    }).state,
  )

const inSomeOrder = <T>(items: readonly T[], seed: number): T[] =>
  items
    .map((item, index) => ({ item, at: (index * 7 + seed * 31) % 11 }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)

describe.each(['1', '2', '6', '11', '12'])('rooms §State resolution, room version %s, on random rooms', (version) => {
  it('does not depend on the order of the states, or of the entries in them', () => {
    fc.assert(
      fc.property(moves(25), picks, garbling, fc.nat(10), (played, chosen, garbled, seed) => {
        const dag = playOut(version, played)
        const states = pickStates(dag, chosen).map((state) => garble(dag, state, garbled))
        const shuffled = inSomeOrder(states, seed).map((state) => new Map(inSomeOrder([...state], seed)))
        expect(resolved(dag, shuffled)).toEqual(resolved(dag, states))
      }),
      { numRuns: 60 },
    )
  })

  it('leaves a state as it is when all are equal to it', () => {
    fc.assert(
      fc.property(moves(15), fc.nat(60), fc.integer({ min: 1, max: 4 }), (played, pick, copies) => {
        const dag = playOut(version, played)
        const [state = new Map()] = pickStates(dag, [pick])
        expect(
          resolved(
            dag,
            Array.from({ length: copies }, () => new Map(state)),
          ),
        ).toEqual(state)
      }),
      { numRuns: 30 },
    )
  })

  it('gives the same where some events have no rank', () => {
    fc.assert(
      fc.property(moves(25), picks, garbling, fc.integer({ min: 2, max: 7 }), (played, chosen, garbled, gap) => {
        const dag = playOut(version, played)
        const states = pickStates(dag, chosen).map((state) => garble(dag, state, garbled))
        const { roomId, rules, eventById } = dag
        const ranks = (eventId: string): number | undefined => {
          const rank = dag.rank(eventId)
          return rank === undefined || rank % gap === 0 ? undefined : rank
        }
        expect(toMap(resolveState({ roomId, rules, states, eventById, ranks }).state)).toEqual(resolved(dag, states))
      }),
      { numRuns: 60 },
    )
  })

  it('gives the same for full maps, for differences from a common base, and with or without ranks', () => {
    fc.assert(
      fc.property(moves(25), picks, garbling, (played, chosen, garbled) => {
        const dag = playOut(version, played)
        const states = pickStates(dag, chosen).map((state) => garble(dag, state, garbled))
        const base = dag.stateAfter('public')
        const sets = states.map((state) => ({ base, delta: differences(base, state) }))
        const whole = resolved(dag, states)
        expect(resolved(dag, sets)).toEqual(whole)
        expect(resolved(dag, states, false)).toEqual(whole)
        expect(resolved(dag, sets, false)).toEqual(whole)
        expect(resolved(dag, [...sets, ...states])).toEqual(whole)
      }),
      { numRuns: 60 },
    )
  })
})

describe.each(['2', '6', '10', '12'])('rooms/v2 and v12 §State resolution, room version %s', (version) => {
  it('agrees with the algorithm as it is written down, where servers were honest and well informed', () => {
    fc.assert(
      fc.property(moves(40), picks, (played, chosen) => {
        const dag = playOut(version, played)
        const states = pickStates(dag, chosen)
        expect(resolved(dag, states)).toEqual(resolveNaively(dag, states))
      }),
      { numRuns: 100 },
    )
  })

  it('agrees with the algorithm as it is written down, where servers were told outdated states', () => {
    fc.assert(
      fc.property(moves(40), picks, fc.array(garbling, { minLength: 4, maxLength: 4 }), (played, chosen, garbled) => {
        const dag = playOut(version, played)
        const states = pickStates(dag, chosen).map((state, index) => garble(dag, state, garbled[index] ?? []))
        expect(resolved(dag, states)).toEqual(resolveNaively(dag, states))
        expect(resolved(dag, states, false)).toEqual(resolveNaively(dag, states))
      }),
      { numRuns: 100 },
    )
  })
})

function differences(base: FullState, state: FullState): Map<string, string | null> {
  const delta = new Map<string, string | null>()
  for (const [key, eventId] of state) if (base.get(key) !== eventId) delta.set(key, eventId)
  for (const key of base.keys()) if (!state.has(key)) delta.set(key, null)
  return delta
}

it('keeps state entries apart whose type and state key only look the same when joined', () => {
  const pairs = [
    ['a', 'b\0c'],
    ['a\0b', 'c'],
    ['', 'a\0b'],
    ['["a', 'b"]'],
    ['m.room.member', '@a:b'],
    ['m.room.member\0@a:b', ''],
  ] as const
  expect(new Set(pairs.map(([type, key]) => stateMapKey(type, key))).size).toBe(pairs.length)
})
