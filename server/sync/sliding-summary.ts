/**
 * What an answer of sliding sync tells of a room besides its events: name, avatar, heroes, members. Spec: MSC4186 §RoomResult.
 */
import { heroesFor, type RoomEvent, type RoomView, type StateView } from '../rooms/index.ts'

/**
 * The fields that changed, or all that are set.
 * @param query.changed state that changed since the client knew the room; `null`: it does not
 * @param query.end the state as far as the viewer may know it
 * @returns members of the JSON object
 */
export function summaryFields(
  userId: string,
  view: RoomView,
  query: {
    readonly changed: readonly RoomEvent[] | null
    readonly end: StateView
    readonly isJoined: boolean
    readonly includeHeroes: boolean
  },
): readonly string[] {
  const { changed, end, isJoined, includeHeroes } = query
  const isNews = (type: string): boolean => changed === null || changed.some(({ pdu }) => pdu.type === type)
  const fields: string[] = []
  const name = textIn(end, 'm.room.name', 'name')
  for (const [field, type, text] of [
    ['name', 'm.room.name', name],
    ['avatar', 'm.room.avatar', textIn(end, 'm.room.avatar', 'url')],
  ] as const) {
    if (isNews(type) && (text !== undefined || changed !== null)) {
      fields.push(`"${field}":${text === undefined ? 'null' : JSON.stringify(text)}`)
    }
  }
  if (!isJoined) return fields
  const membersChanged = isNews('m.room.member')
  if (membersChanged) {
    const { joined, invited } = view.members
    fields.push(`"joined_count":${joined},"invited_count":${invited}`)
  }
  if (includeHeroes && name === undefined && (membersChanged || isNews('m.room.name'))) {
    fields.push(`"heroes":${JSON.stringify(heroesFor(userId, end).map((hero) => heroOf(end, hero)))}`)
  }
  return fields
}

function textIn(state: StateView, type: string, key: string): string | undefined {
  const text = state.get(type)?.pdu.content[key]
  return typeof text === 'string' && text !== '' ? text : undefined
}

function heroOf(state: StateView, userId: string): Record<string, string> {
  const { displayname, avatar_url: avatar } = state.get('m.room.member', userId)?.pdu.content ?? {}
  return {
    user_id: userId,
    ...(typeof displayname === 'string' && { displayname }),
    ...(typeof avatar === 'string' && { avatar_url: avatar }),
  }
}
