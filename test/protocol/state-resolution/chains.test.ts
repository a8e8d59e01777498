import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KnownEvent } from '../../../server/protocol/auth-rules/index.ts'
import type { Pdu } from '../../../server/protocol/pdu.ts'
import { authDifference } from '../../../server/protocol/state-resolution/auth-difference.ts'
import { findConflict } from '../../../server/protocol/state-resolution/conflict.ts'
import { conflictedSubgraph } from '../../../server/protocol/state-resolution/conflicted-subgraph.ts'
import { type KnownEvents, knownEvents } from '../../../server/protocol/state-resolution/known-events.ts'
import { onOneBase, stateMapKey } from '../../../server/protocol/state-resolution/state-map.ts'

/** Auth events by number, each event citing some with lower numbers; any graph at all, not only those that rooms make. */
type Graph = readonly (readonly number[])[]

const graph: fc.Arbitrary<Graph> = fc
  .array(fc.array(fc.nat(1_000), { maxLength: 3 }), { minLength: 2, maxLength: 40, size: 'max' })
  .map((citations) =>
    citations.map((cited, index) =>
      // Mostly recent ones: long chains.
      index === 0 ? [] : cited.map((number) => (number % 3 ? Math.max(0, index - 1 - (number % 4)) : number % index)),
    ),
  )
/** States as lists of event numbers; two events of one entry are made by numbers that are equal modulo 12. */
const states = fc.array(fc.array(fc.nat(39), { maxLength: 12 }), { minLength: 2, maxLength: 4 })

const idOf = (number: number): string => `$${number}`
const keyOf = (number: number): string => stateMapKey('x', `${number % 12}`)
const rank = (eventId: string): number => Number(eventId.slice(1))

function eventsOf(citations: Graph): KnownEvents {
  const pdu = (number: number, cited: readonly number[]): Pdu => ({
    room_id: '!room:one.example',
    type: 'x',
    sender: '@a:one.example',
    state_key: `${number % 12}`,
    content: {},
    prev_events: [],
    auth_events: cited.map(idOf),
    depth: 1,
    origin_server_ts: 1,
    hashes: { sha256: '' },
    signatures: {},
  })
  const all = new Map(
    citations.map((cited, number): [string, KnownEvent] => [
      idOf(number),
      { eventId: idOf(number), pdu: pdu(number, cited) },
    ]),
  )
  return knownEvents('!room:one.example', (eventId) => all.get(eventId), false)
}

function chainOf(start: Iterable<string>, citations: Graph): Set<string> {
  const chain = new Set(start)
  for (const eventId of chain) for (const cited of citations[rank(eventId)] ?? []) chain.add(idOf(cited))
  return chain
}

function settingOf(citations: Graph, numbers: readonly (readonly number[])[]) {
  const maps = numbers.map(
    (state) => new Map(state.map((number) => number % citations.length).map((number) => [keyOf(number), idOf(number)])),
  )
  const { base, deltas } = onOneBase(maps)
  return { maps, conflict: findConflict(base, deltas, 'disagrees'), events: eventsOf(citations) }
}

describe('rooms/v2 §Definitions: auth difference', () => {
  it('holds what is in the full auth chains of some states and not of all', () => {
    fc.assert(
      fc.property(graph, states, (citations, numbers) => {
        const { maps, conflict, events } = settingOf(citations, numbers)
        const chains = maps.map((state) => chainOf(state.values(), citations))
        const expected = [...new Set(chains.flatMap((chain) => [...chain]))].filter(
          (id) => !chains.every((chain) => chain.has(id)),
        )
        expect([...authDifference(conflict, events, rank)].sort()).toEqual(expected.sort())
        expect([...authDifference(conflict, events, undefined)].sort()).toEqual(expected.sort())
      }),
      { numRuns: 500 },
    )
  })

  it('is found without ranks where they turn out to be wrong', () => {
    fc.assert(
      fc.property(graph, states, (citations, numbers) => {
        const { conflict, events } = settingOf(citations, numbers)
        const backwards = (eventId: string): number => -rank(eventId)
        // Of the conflicted events themselves it does not matter: they are in the full conflicted set anyway.
        const besides = (difference: ReadonlySet<string>): string[] =>
          [...difference].filter((eventId) => !conflict.holders.has(eventId)).sort()
        expect(besides(authDifference(conflict, events, backwards))).toEqual(
          besides(authDifference(conflict, events, undefined)),
        )
      }),
    )
  })
})

describe('rooms/v12 §Definitions: conflicted state subgraph', () => {
  it('holds all events on paths from one conflicted event to another, both included', () => {
    fc.assert(
      fc.property(graph, states, (citations, numbers) => {
        const { conflict, events } = settingOf(citations, numbers)
        const conflicted = new Set(conflict.holders.keys())
        const leadsToConflict = (eventId: string): boolean =>
          (citations[rank(eventId)] ?? []).some((cited) =>
            [...chainOf([idOf(cited)], citations)].some((id) => conflicted.has(id)),
          )
        const expected = [...chainOf(conflicted, citations)].filter((id) => conflicted.has(id) || leadsToConflict(id))
        expect([...conflictedSubgraph(conflicted, events, rank)].sort()).toEqual(expected.sort())
        expect([...conflictedSubgraph(conflicted, events, undefined)].sort()).toEqual(expected.sort())
      }),
      { numRuns: 500 },
    )
  })
})
