/** Whom a room without a name is named after. Spec: data/api/client-server/sync.yaml, RoomSummary. */
import type { RoomEvent, StateView } from './contract.ts'

/** As the specification has it; clients may name a room after fewer. */
const HEROES = 5

/** Whether a room has a name or an alias to be called by. */
export function isNamed(state: StateView): boolean {
  const name = state.get('m.room.name')?.pdu.content.name
  const alias = state.get('m.room.canonical_alias')?.pdu.content.alias
  return (typeof name === 'string' && name !== '') || (typeof alias === 'string' && alias !== '')
}

/** The first members of a state, one more than are needed, since everybody leaves out themself. */
const firstMembers = new WeakMap<StateView, { readonly present: readonly string[]; readonly gone: readonly string[] }>()

/** Whom to name the room after, whether or not it has a name: users other than the viewer. */
export function heroesFor(userId: string, state: StateView): readonly string[] {
  let first = firstMembers.get(state)
  if (!first) {
    const present: RoomEvent[] = []
    const gone: RoomEvent[] = []
    for (const event of state.ofType('m.room.member').values()) {
      const { membership } = event.pdu.content
      if (membership === 'join' || membership === 'invite') keepFirst(present, event)
      else if (membership === 'leave' || membership === 'ban') keepFirst(gone, event)
    }
    const ids = (events: readonly RoomEvent[]): string[] => events.map(({ pdu }) => pdu.state_key ?? '')
    first = { present: ids(present), gone: ids(gone) }
    firstMembers.set(state, first)
  }
  const others = first.present.filter((member) => member !== userId)
  const heroes = others.length > 0 ? others : first.gone.filter((member) => member !== userId)
  return heroes.slice(0, HEROES)
}

/** Keeps the list sorted by when the events came, and short. */
function keepFirst(list: RoomEvent[], event: RoomEvent): void {
  let at = list.length
  while (at > 0 && cameBefore(event, list[at - 1] as RoomEvent)) at -= 1
  if (at > HEROES) return
  list.splice(at, 0, event)
  if (list.length > HEROES + 1) list.pop()
}

function cameBefore(a: RoomEvent, b: RoomEvent): boolean {
  if (a.position !== b.position) return a.position < b.position
  return (a.order ?? 0) < (b.order ?? 0)
}
