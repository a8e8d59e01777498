/** Searching in rooms. Spec: client-server-api §Server Side Search. */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { AccountsForReaders } from '../accounts/index.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { EventViewer, Rooms, RoomView, TimelineFilter } from '../rooms/index.ts'
import { batchToken, type GroupKey, type PageStart, parseBatchToken } from './batch-token.ts'
import { type ContextWish, contextText } from './event-context.ts'
import { comesAfter, type Found, findBlock, type MatchWish } from './find-matches.ts'
import type { IndexFile, SearchKey } from './index-file.ts'
import type { Indexer } from './indexer.ts'
import { searchableIn } from './searchable.ts'
import { highlightsIn, type Sought, soughtIn } from './terms.ts'

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 100
/** After so many blocks a page may stay short; the client goes on from `next_batch`. */
const MAX_BLOCKS = 4
const ALL_KEYS: readonly SearchKey[] = ['content.body', 'content.name', 'content.topic']

export interface SearchWish {
  readonly userId: string
  readonly deviceId: string | null
  readonly term: string
  readonly keys: readonly SearchKey[] | undefined
  readonly orderBy: 'rank' | 'recent'
  readonly filter: TimelineFilter
  readonly context: ContextWish | undefined
  readonly includeState: boolean
  readonly groupBy: readonly GroupKey[]
  readonly nextBatch: string | undefined
}

export interface Sources {
  readonly rooms: Pick<Rooms, 'open' | 'memberships' | 'readState'>
  readonly accounts: Pick<AccountsForReaders, 'findAccountData'>
  readonly indexer: Pick<Indexer, 'caughtUp' | 'drop'>
}

interface Page {
  readonly results: readonly Found[]
  readonly count: number
  readonly next: PageStart | undefined
}

/** @returns the reply as JSON text. @throws MatrixError 400 M_INVALID_PARAM for a token that is none */
export async function search(sources: Sources, wish: SearchWish): Promise<string> {
  const start = wish.nextBatch === undefined ? undefined : parseBatchToken(wish.nextBatch)
  const sought = soughtIn(wish.term)
  const ignored = await ignoredBy(sources, wish.userId)
  const page: Page =
    sought.length === 0
      ? { results: [], count: 0, next: undefined }
      : await findPage(sources, await matchWish(sources, wish, { sought, ignored }), {
          start,
          limit: Math.min(Math.max(wish.filter.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT),
        })
  const viewer = { userId: wish.userId, deviceId: wish.deviceId, withRoomId: true, bundles: true }
  const highlights = new Set<string>()
  const texts: string[] = []
  for (const found of page.results) {
    using view = await sources.rooms.open(found.event.roomId)
    const text = (await searchableIn(view, found.event, true))?.text ?? ''
    for (const word of highlightsIn(text, sought)) highlights.add(word)
    texts.push(await resultText(view, found, wish, { viewer, ignored }))
  }
  const parts = [
    `"count":${page.count}`,
    `"highlights":${JSON.stringify([...highlights])}`,
    `"results":[${texts.join(',')}]`,
  ]
  if (wish.includeState) parts.push(`"state":${await stateText(sources, page.results, wish)}`)
  if (wish.groupBy.length > 0) parts.push(`"groups":${JSON.stringify(groupsOf(page, wish.groupBy))}`)
  if (page.next) parts.push(`"next_batch":${JSON.stringify(batchToken(page.next))}`)
  return `{"search_categories":{"room_events":{${parts.join(',')}}}}`
}

/** Spec: client-server-api §Ignoring Users. */
async function ignoredBy({ accounts }: Sources, userId: string): Promise<ReadonlySet<string>> {
  const entry = await accounts.findAccountData(userId, null, 'm.ignored_user_list')
  const list = entry && ownValue(entry.content, 'ignored_users')
  const ignored = new Set(isJsonObject(list) ? Object.keys(list) : [])
  ignored.delete(userId)
  return ignored
}

/** "Clients … will only see results from rooms which they are, or were, a member of", by what they could see there. */
async function matchWish(
  { rooms }: Sources,
  { userId, keys = ALL_KEYS, orderBy, filter }: SearchWish,
  { sought, ignored }: { readonly sought: readonly Sought[]; readonly ignored: ReadonlySet<string> },
): Promise<MatchWish> {
  const memberships = await rooms.memberships(userId)
  const isRoomWanted = (roomId: string): boolean => {
    const membership = memberships.get(roomId)?.membership
    const isOrWas = membership !== undefined && membership !== 'invite' && membership !== 'knock'
    return isOrWas && filter.passesRoom(roomId)
  }
  return {
    userId,
    sought,
    orderBy,
    keys: new Set(keys),
    isRoomWanted,
    // State is shown whoever set it.
    isSenderWanted: (sender, key) => key !== 'content.body' || !ignored.has(sender),
    isEventWanted: ({ pdu }) => filter.passes(pdu),
  }
}

async function findPage(
  { rooms, indexer }: Sources,
  wish: MatchWish,
  { start, limit }: { readonly start: PageStart | undefined; readonly limit: number },
): Promise<Page> {
  const file: IndexFile = await indexer.caughtUp()
  const results: Found[] = []
  const gone: string[] = []
  const group = start?.group ?? null
  let before = start?.before ?? Number.MAX_SAFE_INTEGER
  let after = start?.after ?? null
  let count = start?.count
  let next: PageStart | undefined
  for (let blocks = 0; blocks < MAX_BLOCKS && results.length < limit; blocks += 1) {
    const block = await findBlock({ file, rooms }, wish, { before, group })
    gone.push(...block.gone)
    count ??= block.found.length
    const rest = block.found.filter((found) => comesAfter(found, after, wish.orderBy))
    const taken = rest.slice(0, limit - results.length)
    results.push(...taken)
    const last = taken.at(-1)
    if (last && taken.length < rest.length) {
      next = { before, after: { rank: last.rank, id: last.match.id }, count, group }
      break
    }
    next = block.next === undefined ? undefined : { before: block.next, after: null, count, group }
    if (!next) break
    before = next.before
    after = null
  }
  indexer.drop(gone)
  return { results, count: Math.max(count ?? 0, results.length), next }
}

async function resultText(
  view: RoomView,
  { event, rank }: Found,
  { context }: SearchWish,
  looking: { readonly viewer: EventViewer; readonly ignored: ReadonlySet<string> },
): Promise<string> {
  const text = `{"rank":${rank},"result":${await view.render(event, looking.viewer)}`
  return context ? `${text},"context":${await contextText(view, event, context, looking)}}` : `${text}}`
}

/** The state of each room as the user may know it. */
async function stateText(
  { rooms }: Sources,
  results: readonly Found[],
  { userId, deviceId }: SearchWish,
): Promise<string> {
  const parts: string[] = []
  for (const roomId of new Set(results.map(({ event }) => event.roomId))) {
    try {
      const state = await rooms.readState({ roomId, userId, deviceId })
      parts.push(`${JSON.stringify(roomId)}:[${state.join(',')}]`)
    } catch (error) {
      // Of a room that was open to the world once, who never was in it sees messages, but no state of today.
      if (!(error instanceof MatrixError)) throw error
    }
  }
  return `{${parts.join(',')}}`
}

type Group = { readonly order: number; readonly results: string[]; readonly next_batch?: string }

function groupsOf({ results, next }: Page, groupBy: readonly GroupKey[]): Record<string, Record<string, Group>> {
  const groups: Record<string, Record<string, Group>> = {}
  for (const key of new Set(groupBy)) {
    const byValue = new Map<string, Group>()
    for (const { event } of results) {
      const value = key === 'room_id' ? event.roomId : event.pdu.sender
      const known = byValue.get(value)
      if (known) known.results.push(event.eventId)
      else {
        // A page that is of one group already cannot be of another one, too.
        const nextBatch =
          next && (!next.group || next.group.key === key) && batchToken({ ...next, group: { key, value } })
        const token = typeof nextBatch === 'string' && { next_batch: nextBatch }
        byValue.set(value, { order: byValue.size + 1, results: [event.eventId], ...token })
      }
    }
    groups[key] = Object.fromEntries(byValue)
  }
  return groups
}
