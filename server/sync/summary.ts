/**
 * What a client needs to name a room. Spec: data/api/client-server/sync.yaml, RoomSummary.
 */
import { heroesFor, isNamed, type RoomEvent, type RoomView } from '../rooms/index.ts'

export interface RoomSummary {
  /** Absent where the room has a name or an alias. */
  readonly heroes: readonly string[] | undefined
  readonly joined: number
  readonly invited: number
}

/** The types of state that a summary follows from. */
export function concernsSummary({ pdu }: RoomEvent): boolean {
  return (
    pdu.type === 'm.room.member' ||
    (pdu.state_key === '' && (pdu.type === 'm.room.name' || pdu.type === 'm.room.canonical_alias'))
  )
}

export function summaryFor(userId: string, view: RoomView): RoomSummary {
  const { joined, invited } = view.members
  return { heroes: isNamed(view.state) ? undefined : heroesFor(userId, view.state), joined, invited }
}

export function summaryText({ heroes, joined, invited }: RoomSummary): string {
  const named = heroes ? `"m.heroes":${JSON.stringify(heroes)},` : ''
  return `{${named}"m.joined_member_count":${joined},"m.invited_member_count":${invited}}`
}
