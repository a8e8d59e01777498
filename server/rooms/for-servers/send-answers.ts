/** What servers are given for the membership events that they send through us. */
import type { KeptEvent } from '../event.ts'
import { heroesFor, isNamed } from '../heroes.ts'
import type { OpenRooms } from '../open-rooms.ts'
import type { StateMap } from '../state-map.ts'
import { shownState } from '../stripped-state.ts'
import { authChainOf } from './auth-chain.ts'
import { type JsonPieces, jsonObject } from './json-pieces.ts'
import { reopened, textsOf } from './state-at.ts'
import type { TakenMembership } from './take-membership.ts'

/**
 * The answer to a join, as JSON: the state before it, the auth chains of that and of the join, and the join as it was taken in.
 * Spec: data/api/server-server/joins-v2.yaml, `sendJoinV2`.
 *
 * @param omitsMembers whether only those members are in it whom a room without a name is named after
 */
export function joinAnswer(rooms: OpenRooms, taken: TakenMembership, omitsMembers: boolean): JsonPieces {
  const { event, before, servers } = taken
  const roomId = event.roomId
  const state = omitsMembers ? [...withoutMembers(before, event.pdu.sender)] : [...before.all()]
  return reopened(rooms, { roomId, server: '' }, (room) =>
    jsonObject([
      ['event', { json: event.json }],
      ...(omitsMembers
        ? ([
            ['members_omitted', { json: 'true' }],
            ['servers_in_room', { json: JSON.stringify(servers) }],
          ] as const)
        : []),
      ['state', textsOf(state)],
      [
        'auth_chain',
        textsOf(
          omitsMembers ? without(state, authChainOf(room, [...state, event])) : authChainOf(room, [...state, event]),
        ),
      ],
    ]),
  )
}

function* withoutMembers(state: StateMap, viewer: string): Generator<KeptEvent> {
  for (const type of state.types()) if (type !== 'm.room.member') yield* state.ofType(type).values()
  if (isNamed(state)) return
  for (const hero of heroesFor(viewer, state)) {
    const member = state.get('m.room.member', hero)
    if (member) yield member
  }
}

/** What is in the state need not be said twice. */
async function* without(state: readonly KeptEvent[], chain: AsyncIterable<KeptEvent>): AsyncGenerator<KeptEvent> {
  const known = new Set(state.map(({ eventId }) => eventId))
  for await (const event of chain) if (!known.has(event.eventId)) yield event
}

/** The state by which whoever knocked may tell what room it is, as PDUs. Spec: data/api/server-server/knocks.yaml, `sendKnock`. */
export const knockState = ({ before }: TakenMembership): readonly string[] => shownState(before).map(({ json }) => json)
