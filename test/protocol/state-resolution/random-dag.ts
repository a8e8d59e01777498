import fc from 'fast-check'
import { stateMapKey } from '../../../server/protocol/state-resolution/index.ts'
import {
  alice,
  bob,
  carol,
  type Dag,
  dave,
  type FullState,
  join,
  newPublicRoom,
  PEOPLE,
  type Proposal,
  type Telling,
} from './dag.ts'

/** What one of the people tries to do; left out where the rules forbid it. */
export interface Move {
  readonly who: number
  readonly what: number
  readonly whom: number
  readonly level: number
  /** Which events it comes after, counted back from the newest. */
  readonly after: readonly number[]
  readonly waitMs: number
}

export const moves = (maxLength: number): fc.Arbitrary<readonly Move[]> =>
  fc.array(
    fc.record({
      who: fc.nat(PEOPLE.length - 1),
      what: fc.nat(99),
      whom: fc.nat(PEOPLE.length - 1),
      level: fc.constantFrom(0, 25, 50, 75, 100),
      // Mostly on top of what is new, at times far back: forks of every length.
      after: fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, fc.nat(40)), { minLength: 1, maxLength: 3 }),
      waitMs: fc.constantFrom(-1_500, 0, 0, 1_000, 2_000),
    }),
    { minLength: 4, maxLength, size: 'max' },
  )

/** A room in which people of three servers act at the same time, each server honestly by what it has seen. */
export function playOut(
  version: string,
  all: readonly Move[],
  options: { readonly realIds?: boolean; readonly onProposal?: (proposal: Proposal) => void } = {},
): Dag {
  const dag = newPublicRoom(version, { ...options, users: { [bob]: 75, [carol]: 50 } })
  for (const who of [bob, carol, dave]) dag.add(join(`${who} joins`, who))
  let ts = dag.pdu(`${dave} joins`).origin_server_ts
  all.forEach((move, index) => {
    const after = [...new Set(move.after.map((back) => dag.names[Math.max(5, dag.names.length - 1 - back)] as string))]
    ts += move.waitMs
    const telling = { ...tellingOf(move, `e${index}`, dag, after), after, ts }
    const proposal = dag.propose(telling)
    // Two people cannot tell the same event; one who does the same thing twice at once has sent one event.
    if (dag.events.has(proposal.event.eventId)) return
    options.onProposal?.(proposal)
    if (proposal.verdict.ok) dag.add(telling)
  })
  return dag
}

function tellingOf(move: Move, name: string, dag: Dag, after: readonly string[]): Telling {
  const by = PEOPLE[move.who] as string
  const whom = PEOPLE[move.whom] as string
  const membership = (key: string, value: string): Telling => ({
    name,
    by,
    type: 'm.room.member',
    key,
    content: { membership: value },
  })
  if (move.what < 25) return membership(by, 'join')
  if (move.what < 32) return membership(by, 'leave')
  if (move.what < 40) return membership(whom, 'invite')
  if (move.what < 50) return membership(whom, 'ban')
  if (move.what < 58) return membership(whom, 'leave')
  if (move.what < 75)
    return { name, by, type: 'm.room.power_levels', key: '', content: levelsAfter(move, whom, dag, after) }
  if (move.what < 84) {
    const rule = ['public', 'invite', 'knock'][move.whom % 3] as string
    return { name, by, type: 'm.room.join_rules', key: '', content: { join_rule: rule } }
  }
  if (move.what < 97)
    return { name, by, type: move.what % 2 ? 'm.room.topic' : 'm.room.name', key: '', content: { text: name } }
  return { name, by, type: 'm.room.message', content: { body: name } }
}

/** The power levels of that moment, with one user's changed. */
function levelsAfter(move: Move, whom: string, dag: Dag, after: readonly string[]) {
  const before = dag.resolve(...after).get(stateMapKey('m.room.power_levels', ''))
  const content = before === undefined ? undefined : dag.eventById(before)?.pdu.content
  const users = { ...(content?.users as Record<string, number>) }
  if (!(dag.rules.privilegedCreators && whom === alice)) users[whom] = move.level
  return { ...content, users }
}

/** The states after some of the events. */
export function pickStates(dag: Dag, picks: readonly number[]): FullState[] {
  return picks.map((pick) => dag.stateAfter(dag.names[dag.names.length - 1 - (pick % dag.names.length)] as string))
}

/** What a server may have been told of a state that it was not there for: some entries outdated or left out. */
export function garble(dag: Dag, state: FullState, choices: readonly number[]): FullState {
  const garbled = new Map(state)
  const keys = [...state.keys()].sort()
  for (const choice of choices) {
    const key = keys[choice % keys.length] as string
    if (key === stateMapKey('m.room.create', '')) continue
    const candidates = [...dag.events.values()].filter(
      ({ pdu }) => stateMapKey(pdu.type, pdu.state_key ?? '\0none') === key,
    )
    const other = candidates[Math.floor(choice / keys.length) % (candidates.length + 1)]
    if (other) garbled.set(key, other.eventId)
    else garbled.delete(key)
  }
  return garbled
}
