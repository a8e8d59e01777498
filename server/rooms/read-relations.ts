/** An event's children, a page at a time. Spec: client-server-api §Relationships API. */
import { notFound } from '../../shared/matrix/errors.ts'
import { timelineToken } from './batch-token.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRooms } from './open-rooms.ts'
import { findVisible, orderOfToken, type Reader, viewerOf } from './read-state.ts'
import { placeIn, RECURSION_DEPTH, relationIn, relationPrefix } from './relation.ts'
import { KeptRoomView } from './room-view.ts'

export interface RelationsWish {
  readonly eventId: string
  readonly relType?: string | undefined
  readonly eventType?: string | undefined
  readonly from: string | undefined
  readonly to: string | undefined
  readonly limit: number | undefined
  readonly direction: 'forward' | 'backward'
  readonly recurse: boolean | undefined
}

export interface RelationsPage {
  /** Events as JSON texts, in the direction of travel. */
  readonly chunk: readonly string[]
  readonly nextBatch?: string | undefined
  readonly prevBatch?: string | undefined
  readonly recursionDepth?: number | undefined
}

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 500
/** So many events are looked at for one page; where fewer are wanted, the client goes on from `next_batch`. */
const MAX_LOOKED_AT = 2_000

/** @throws MatrixError 404 M_NOT_FOUND for a parent that the reader may not see, too; 400 M_INVALID_PARAM for a token */
export async function readRelations(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wish: RelationsWish,
): Promise<RelationsPage> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  using held = await rooms.hold(reader.roomId)
  if (!held) throw notFound('There is no such event')
  using view = new KeptRoomView(core, held.room)
  await findVisible(core, view, reader, wish.eventId)
  const isForward = wish.direction === 'forward'
  const from = wish.from === undefined ? undefined : await orderOfToken(view, wish.from)
  const to = wish.to === undefined ? undefined : await orderOfToken(view, wish.to)
  const [low, high] = isForward ? [from, to] : [to, from]
  const limit = Math.min(Math.max(wish.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
  const { found, next } = await collect(view, reader.userId, wish, {
    low: Math.max(low ?? view.earliestOrder, view.earliestOrder),
    high: Math.min(high ?? view.latestOrder + 1, view.latestOrder + 1),
    limit,
  })
  const viewer = viewerOf(reader)
  const chunk: string[] = []
  for (const event of found) chunk.push(await view.render(event, viewer))
  return {
    chunk,
    nextBatch: next === undefined ? undefined : timelineToken(next),
    prevBatch: wish.from,
    recursionDepth: wish.recurse === undefined ? undefined : wish.recurse ? RECURSION_DEPTH : 1,
  }
}

async function collect(
  view: KeptRoomView,
  userId: string,
  wish: RelationsWish,
  stretch: { readonly low: number; readonly high: number; readonly limit: number },
): Promise<{ readonly found: readonly KeptEvent[]; readonly next: number | undefined }> {
  const { direction } = wish
  const isForward = direction === 'forward'
  const { limit } = stretch
  const ignored = await view.ignoredBy(userId)
  const isShown = ({ pdu }: KeptEvent): boolean => pdu.state_key !== undefined || !ignored.has(pdu.sender)
  let { low, high } = stretch
  const found: KeptEvent[] = []
  /** The place behind the last event of a page that is full. */
  let end: number | undefined
  let lookedAt = 0
  while (low < high) {
    if (lookedAt >= MAX_LOOKED_AT) return { found, next: end ?? (isForward ? low : high) }
    const size = limit + 1
    const read = await readChildren(view, wish, { low, high, size })
    lookedAt += read.length
    for (const event of await view.visibleTo(userId, read.filter(isShown))) {
      if (!(await isRelated(view, wish, event))) continue
      // One more tells that there is a further page.
      if (found.length === limit) return { found, next: end }
      found.push(event)
      end = isForward ? (event.order ?? 0) + 1 : (event.order ?? 0)
    }
    const last = read.at(-1)
    if (read.length < size || last?.order == null) break
    if (isForward) low = last.order + 1
    else high = last.order
  }
  return { found, next: undefined }
}

/** Events that relate, or did, to the wished one, in the direction of travel; the first `size` of the stretch. */
async function readChildren(
  view: KeptRoomView,
  { eventId, relType, direction, recurse }: RelationsWish,
  { low, high, size }: { readonly low: number; readonly high: number; readonly size: number },
): Promise<readonly KeptEvent[]> {
  const within = (index: 'parent' | 'grandparent' | 'greatGrandparent' | 'relation', prefix: string) =>
    view.findBy(index, { from: placeIn(prefix, low), to: placeIn(prefix, high), direction, limit: size })
  if (recurse !== true) {
    return relType === undefined ? within('parent', eventId) : within('relation', relationPrefix(eventId, relType))
  }
  const levels = await Promise.all([
    relType === undefined ? within('parent', eventId) : within('relation', relationPrefix(eventId, relType)),
    within('grandparent', eventId),
    within('greatGrandparent', eventId),
  ])
  const sign = direction === 'forward' ? 1 : -1
  const byOrder = new Map(levels.flat().map((event) => [event.order ?? 0, event]))
  return [...byOrder]
    .sort(([a], [b]) => sign * (a - b))
    .slice(0, size)
    .map(([, event]) => event)
}

/** Whether it still relates to the wished event, each step of the way being as wished. */
async function isRelated(view: KeptRoomView, wish: RelationsWish, event: KeptEvent): Promise<boolean> {
  const { relType, eventType, eventId } = wish
  let at: KeptEvent | undefined = event
  for (let depth = 1; at && depth <= RECURSION_DEPTH; depth += 1) {
    const relation = at.isHidden ? undefined : relationIn(at.pdu)
    if (!relation) return false
    if (relType !== undefined && relation.relType !== relType) return false
    if (eventType !== undefined && at.pdu.type !== eventType) return false
    if (relation.parent === eventId) return true
    at = await view.find(relation.parent)
  }
  return false
}
