import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomEvent, StateView } from './contract.ts'

const SHOWN_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const

export const strip = ({ pdu }: RoomEvent): JsonObject => ({
  type: pdu.type,
  state_key: pdu.state_key ?? '',
  sender: pdu.sender,
  content: pdu.content,
})

/** The state events by which someone outside may tell what room it is. Spec: client-server-api §Stripped state. */
export const shownState = <E extends RoomEvent>(state: { get(type: string): E | undefined }): readonly E[] =>
  SHOWN_TYPES.flatMap((type) => state.get(type) ?? [])

/**
 * What someone who is invited to a room, or knocks on it, may see of it: what the room is, who sends the event, and last
 * the membership event itself. Spec: client-server-api §Stripped state.
 */
export function strippedStateFor(member: RoomEvent, state: StateView): readonly JsonObject[] {
  const stripped: JsonObject[] = shownState(state).map(strip)
  const { sender, state_key: target } = member.pdu
  const senderMember = sender === target ? undefined : state.get('m.room.member', sender)
  if (senderMember) stripped.push(strip(senderMember))
  stripped.push(strip(member))
  return stripped
}
