/** A room's threads. Spec: client-server-api §Querying threads in a room. */
import { redact } from '../protocol/redaction.ts'
import { timelineToken } from './batch-token.ts'
import { findThread, hasParticipated, type Onlooker } from './bundle.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRooms } from './open-rooms.ts'
import { orderOfToken, type Reader, withAccess } from './read-state.ts'
import { type AggregateRow, aggregates } from './relation-store.ts'
import type { KeptRoomView } from './room-view.ts'

export interface ThreadsWish {
  readonly participatedOnly: boolean
  readonly limit: number | undefined
  readonly from: string | undefined
}

export interface ThreadsPage {
  /** Thread roots as JSON texts, those with the newest event first. */
  readonly chunk: readonly string[]
  readonly nextBatch?: string | undefined
}

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100
/** So many threads are looked at for one page; where fewer are wanted, the client goes on from `next_batch`. */
const MAX_LOOKED_AT = 500
const PER_READ = 32

/** @throws MatrixError 403 M_FORBIDDEN, 400 M_INVALID_PARAM for a token that is none of ours */
export function readThreads(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wish: ThreadsWish,
): Promise<ThreadsPage> {
  return withAccess(core, rooms, reader, async (view, access, viewer) => {
    const limit = Math.min(Math.max(wish.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
    const from = wish.from === undefined ? view.latestOrder + 1 : await orderOfToken(view, wish.from)
    const who = await view.onlooker(viewer)
    const { threads, next } = await collect(view, who, { ...wish, limit, from, until: access.until })
    const chunk: string[] = []
    for (const { root } of threads) chunk.push(await view.render(asShown(who, root, view), viewer))
    return { chunk, nextBatch: next === undefined ? undefined : timelineToken(next) }
  })
}

interface ListedThread {
  readonly root: KeptEvent
  /** Order of the newest event that the reader is shown. */
  readonly latest: number
}

async function collect(
  view: KeptRoomView,
  who: Onlooker,
  wish: { readonly participatedOnly: boolean; readonly limit: number; readonly from: number; readonly until: number },
): Promise<{ readonly threads: readonly ListedThread[]; readonly next: number | undefined }> {
  const threads: ListedThread[] = []
  let to = wish.from
  let lookedAt = 0
  for (;;) {
    const rows = await who.lease.range(aggregates, { index: 'latestReply', to, direction: 'backward', limit: PER_READ })
    for (const row of rows) {
      if (threads.length === wish.limit || lookedAt === MAX_LOOKED_AT) return { threads: sorted(threads), next: to }
      lookedAt += 1
      to = row.latestReply ?? to
      const thread = await findListed(view, who, row, wish)
      if (thread) threads.push(thread)
    }
    if (rows.length < PER_READ) return { threads: sorted(threads), next: undefined }
  }
}

/** What hides a thread's newest events from one reader may change its place among theirs. */
const sorted = (threads: readonly ListedThread[]): readonly ListedThread[] =>
  threads.toSorted((a, b) => b.latest - a.latest)

async function findListed(
  view: KeptRoomView,
  who: Onlooker,
  row: AggregateRow,
  { participatedOnly, until }: { readonly participatedOnly: boolean; readonly until: number },
): Promise<ListedThread | undefined> {
  const root = await view.find(row.parent)
  if (!root || root.isState || root.order === null || root.order >= until || !(await who.maySee(root))) return undefined
  if (participatedOnly && !(await hasParticipated(who, root))) return undefined
  const thread = await findThread(who, root, row)
  return thread && { root, latest: thread.latest.order ?? 0 }
}

/** "If the thread root event was sent by an ignored user, the event is returned redacted to the caller." */
function asShown({ ignored }: Onlooker, root: KeptEvent, { rules }: KeptRoomView): KeptEvent {
  return ignored.has(root.pdu.sender) ? root.with({ json: JSON.stringify(redact(root.pdu, rules)) }) : root
}
