/**
 * The rooms of one answer of sliding sync: which of those that were chosen have news. Cost follows the rooms with news; the
 * others are at most looked up.
 */
import type { MembershipEntry, RoomEvent } from '../rooms/index.ts'
import type { AccountFacts } from './sliding-account-facts.ts'
import type { Choice, ChosenRoom } from './sliding-chosen.ts'
import type { Connection, SentRoom } from './sliding-connection.ts'
import { type SlidingRoomDeps, slidingRoom } from './sliding-room.ts'
import { leastConfig, type RoomConfig } from './sliding-wish.ts'
import type { Viewer } from './viewer.ts'

/** So many rooms are made up before others get their turn. */
const ROOMS_PER_TURN = 16

export interface RoomsPart {
  /** Members of the JSON object, joined by commas. */
  readonly text: string
  readonly sent: ReadonlyMap<string, SentRoom | null>
  readonly members: readonly RoomEvent[]
  /** By room that is in the answer: the events of its timeline, and whether the client knew nothing of the room. */
  readonly shown: ReadonlyMap<string, { readonly timeline: ReadonlySet<string>; readonly isInitial: boolean }>
}

export interface RoomsQuery {
  readonly connection: Connection
  readonly choice: Choice
  readonly account: AccountFacts
  readonly memberships: ReadonlyMap<string, MembershipEntry>
  readonly upTo: number
  /** The user's push rules changed: what is unread may be another number in any room. */
  readonly mustRecount: boolean
}

export async function slidingRooms(deps: SlidingRoomDeps, viewer: Viewer, query: RoomsQuery): Promise<RoomsPart> {
  const { connection, account, upTo } = query
  const texts: string[] = []
  const sent = new Map<string, SentRoom | null>()
  const members: RoomEvent[] = []
  const shown = new Map<string, { readonly timeline: ReadonlySet<string>; readonly isInitial: boolean }>()
  const recounted = new Set(query.mustRecount ? deps.push.unread.roomsToRecount(viewer.userId) : [])
  // The choice is another one whenever anything happened in a room of the user's.
  const isSameAgain = connection.choice === query.choice && recounted.size === 0
  let turn = 0

  async function add(roomId: string, room: ChosenRoom, isGone: boolean): Promise<void> {
    turn += 1
    if (turn % ROOMS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
    const isDm = account.directs.has(roomId)
    const result = await slidingRoom(deps, viewer, { ...room, connection, upTo, isDm })
    sent.set(roomId, isGone ? null : result.sent)
    members.push(...result.members)
    if (result.text === undefined) return
    texts.push(`${JSON.stringify(roomId)}:${result.text}`)
    shown.set(roomId, result)
  }

  for (const [roomId, room] of isSameAgain ? [] : query.choice.rooms) {
    const before = connection.rooms.get(roomId)
    const mayHaveNews =
      !before ||
      concernsConfig(before, room.place.config) ||
      before.isDm !== account.directs.has(roomId) ||
      hasNews(deps, room.entry, before) ||
      recounted.has(roomId)
    if (!mayHaveNews) continue
    await add(roomId, room, false)
    connection.configs.set(room.place.config.key, room.place.config)
  }
  for (const room of await newlyLeft(deps, query)) await add(room.entry.roomId, room, true)
  return { text: texts.join(','), sent, members, shown }
}

const concernsConfig = ({ configKey, timelineLimit }: SentRoom, config: RoomConfig): boolean =>
  configKey !== config.key || config.timelineLimit > timelineLimit

function hasNews({ rooms, ephemeral }: SlidingRoomDeps, entry: MembershipEntry, { upTo }: SentRoom): boolean {
  if (entry.position > upTo) return true
  if (entry.membership !== 'join') return false
  return rooms.lastChange(entry.roomId) > upTo || ephemeral.receipts.lastChange(entry.roomId) > upTo
}

/** Rooms that the client knows and that the user is in no more, told of once whatever lists say. */
async function newlyLeft(
  { rooms }: SlidingRoomDeps,
  { connection, choice, memberships }: RoomsQuery,
): Promise<readonly ChosenRoom[]> {
  if (connection.memberships === memberships) return []
  const left: ChosenRoom[] = []
  for (const [roomId, before] of connection.rooms) {
    if (choice.rooms.has(roomId)) continue
    // One that was forgotten is not among the memberships any more.
    const entry = memberships.get(roomId) ?? (await rooms.findMembership(connection.userId, roomId))
    if (!entry || (entry.membership !== 'leave' && entry.membership !== 'ban') || entry.position <= before.upTo)
      continue
    const config = connection.configs.get(before.configKey) ?? leastConfig(connection.userId)
    left.push({ entry, place: { lists: [], config } })
  }
  return left
}
