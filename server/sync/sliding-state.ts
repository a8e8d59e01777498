/**
 * The state of a room in an answer of sliding sync: what is wanted of it, and the members that the timeline needs.
 * Spec: MSC4186 §RequiredStateRequest, §Changes to `required_state`.
 */
import type { RoomEvent, StateView } from '../rooms/index.ts'
import type { Connection } from './sliding-connection.ts'
import type { RoomConfig } from './sliding-wish.ts'

const MEMBER = 'm.room.member'

export interface RequiredEvents {
  readonly events: readonly RoomEvent[]
  /** Members that are among them because the timeline needs them. */
  readonly members: readonly RoomEvent[]
}

/**
 * @param query.changed what became current since the client knew the room; `null`: it knows nothing
 * @param query.before the config that the client was told under; `undefined`: not known any more
 */
export function requiredEvents(query: {
  readonly connection: Connection
  readonly config: RoomConfig
  readonly before: RoomConfig | undefined
  readonly state: StateView
  readonly changed: readonly RoomEvent[] | null
  readonly timeline: { readonly events: readonly RoomEvent[]; readonly limited: boolean }
}): RequiredEvents {
  const { connection, config, before, state, changed, timeline } = query
  const { requiredState } = config
  const kept = new Map<string, RoomEvent>()
  const keep = (event: RoomEvent): void => void kept.set(event.eventId, event)

  if (changed === null || before === undefined) for (const event of requiredState.select(state)) keep(event)
  else {
    for (const event of changed) if (requiredState.matches(event)) keep(event)
    if (before.key !== config.key) {
      for (const event of requiredState.select(state)) if (!before.requiredState.matches(event)) keep(event)
    }
  }
  if (!requiredState.isLazy) return { events: [...kept.values()], members: [] }

  const members: RoomEvent[] = []
  const keepMember = (event: RoomEvent | undefined): void => {
    if (!event) return
    members.push(event)
    keep(event)
  }
  // A client that got all events since may go on with the members that it knows.
  if (changed && !timeline.limited) for (const event of changed) if (event.pdu.type === MEMBER) keepMember(event)
  for (const userId of usersIn(timeline.events)) {
    const member = state.get(MEMBER, userId)
    if (member && !kept.has(member.eventId) && !connection.hasMember(member)) keepMember(member)
  }
  return { events: [...kept.values()], members }
}

/** Who sent the events, and whom member events among them are about. */
function usersIn(events: readonly RoomEvent[]): ReadonlySet<string> {
  const users = new Set<string>()
  for (const { pdu } of events) {
    users.add(pdu.sender)
    if (pdu.type === MEMBER && pdu.state_key !== undefined) users.add(pdu.state_key)
  }
  return users
}
