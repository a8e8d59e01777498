/** Matches that a user may see, in the order that they ask for. */
import { setImmediate } from 'node:timers/promises'
import type { RoomEvent, Rooms, RoomView } from '../rooms/index.ts'
import type { PageStart } from './batch-token.ts'
import type { IndexFile, Match, SearchKey } from './index-file.ts'
import { matchExpression, rankOf, type Sought } from './terms.ts'

/** So many matches are put in order at once; older ones come after all of these, whatever their rank. */
const BLOCK = 500
/** So many rows of the index are gone through for one block: most may be of rooms that are others'. */
const MAX_WALKED = 20_000
const PER_READ = 250

export interface Found {
  readonly match: Match
  readonly rank: number
  readonly event: RoomEvent
}

export interface MatchWish {
  readonly userId: string
  readonly sought: readonly Sought[]
  readonly keys: ReadonlySet<SearchKey>
  readonly orderBy: 'rank' | 'recent'
  /** Whether the user may know of the room, and asks for it. */
  readonly isRoomWanted: (roomId: string) => boolean
  readonly isSenderWanted: (sender: string, key: SearchKey) => boolean
  readonly isEventWanted: (event: RoomEvent) => boolean
}

export interface Block {
  readonly found: readonly Found[]
  /** Where the next block begins, if there may be one. */
  readonly next: number | undefined
  /** Matches whose events are not there any more. */
  readonly gone: readonly string[]
}

/** What is found among the newest matches before `start`. */
export async function findBlock(
  sources: { readonly file: IndexFile; readonly rooms: Pick<Rooms, 'open'> },
  wish: MatchWish,
  start: Pick<PageStart, 'before' | 'group'>,
): Promise<Block> {
  const { candidates, next } = await walk(sources.file, wish, start)
  const found: Found[] = []
  const gone: string[] = []
  for (const [roomId, matches] of Map.groupBy(candidates, (match) => match.roomId)) {
    using view = await openIfWhole(sources.rooms, roomId)
    if (!view) continue
    const byEvent = new Map<RoomEvent, Match>()
    for (const match of matches) {
      const event = await view.find(match.eventId)
      if (!event || event.redactedBecause) gone.push(match.eventId)
      else if (wish.isEventWanted(event)) byEvent.set(event, match)
    }
    for (const event of await view.visibleTo(wish.userId, [...byEvent.keys()])) {
      const match = byEvent.get(event)
      if (match) found.push({ match, event, rank: rankOf(match.terms, wish.sought) })
    }
    await setImmediate()
  }
  const byTime = (one: Found, other: Found): number => other.match.id - one.match.id
  const byRank = (one: Found, other: Found): number => other.rank - one.rank || byTime(one, other)
  return { found: found.sort(wish.orderBy === 'rank' ? byRank : byTime), next, gone }
}

/** A room whose file is broken has no results, and the others are searched; whoever looks into it is told what is wrong. */
const openIfWhole = (rooms: Pick<Rooms, 'open'>, roomId: string): Promise<RoomView | undefined> =>
  rooms.open(roomId).catch(() => undefined)

/** Whether a match comes after the last one of the page before. */
export const comesAfter = (
  { match, rank }: Found,
  after: PageStart['after'],
  orderBy: MatchWish['orderBy'],
): boolean => {
  if (!after) return true
  if (orderBy === 'rank' && rank !== after.rank) return rank < after.rank
  return match.id < after.id
}

async function walk(
  file: IndexFile,
  wish: MatchWish,
  { before, group }: Pick<PageStart, 'before' | 'group'>,
): Promise<{ readonly candidates: readonly Match[]; readonly next: number | undefined }> {
  const expression = matchExpression(wish.sought)
  const candidates: Match[] = []
  let from = before
  for (let walked = 0; walked < MAX_WALKED; walked += PER_READ) {
    const rows = file.matches(expression, from, PER_READ)
    for (const row of rows) {
      from = row.id
      const value = group?.key === 'room_id' ? row.roomId : row.sender
      if (group && value !== group.value) continue
      if (!wish.keys.has(row.key) || !wish.isRoomWanted(row.roomId) || !wish.isSenderWanted(row.sender, row.key))
        continue
      candidates.push(row)
      if (candidates.length === BLOCK) return { candidates, next: from }
    }
    if (rows.length < PER_READ) return { candidates, next: undefined }
    await setImmediate()
  }
  return { candidates, next: from }
}
