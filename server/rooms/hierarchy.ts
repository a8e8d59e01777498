/** What rooms a space holds. Spec: client-server-api §Discovering rooms within spaces. */
import { forbidden, invalidParam } from '../../shared/matrix/errors.ts'
import { isOpaqueId } from '../../shared/matrix/identifiers.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { mayKnow, type RoomSummary, summaryOf } from './room-summary.ts'
import type { SpaceWalks, Station, Walk } from './space-walks.ts'

export interface HierarchyWish {
  readonly roomId: string
  readonly userId: string
  readonly suggestedOnly: boolean
  readonly maxDepth: number | undefined
  readonly limit: number | undefined
  readonly from: string | undefined
}

export interface HierarchyRoom extends RoomSummary {
  readonly children_state: readonly {
    readonly type: string
    readonly state_key: string
    readonly sender: string
    readonly content: KeptEvent['pdu']['content']
    readonly origin_server_ts: number
  }[]
}

export interface HierarchyPage {
  readonly rooms: readonly HierarchyRoom[]
  readonly nextBatch?: string
}

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MAX_DEPTH = 20
/** Children of one space, and rooms of one walk; what is beyond is not shown. */
const MAX_CHILDREN = 500
const MAX_SEEN = 2_000

/**
 * A page of the rooms in a space, depth first, children in their order, each room once.
 * @throws MatrixError 403 M_FORBIDDEN for a space that the user may not know of, 400 M_INVALID_PARAM for another walk's token
 */
export async function readHierarchy(
  core: RoomsCore,
  rooms: OpenRooms,
  walks: SpaceWalks,
  wish: HierarchyWish,
): Promise<HierarchyPage> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  const walk = walkFor(walks, wish)
  const { userId, maxDepth, suggestedOnly } = walk
  const limit = Math.min(Math.max(wish.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
  const ahead: Station[] = [...walk.ahead]
  const seen = new Set(walk.seen)
  const found: HierarchyRoom[] = []
  while (found.length < limit && seen.size < MAX_SEEN) {
    const station = ahead.pop()
    if (!station) break
    // Breaks loops, too.
    if (seen.has(station.roomId)) continue
    seen.add(station.roomId)
    using held = await rooms.hold(station.roomId)
    const isShown = held !== undefined && (await mayKnow(core, held.room, userId))
    // A room that is not there and one that is closed look the same from outside.
    if (!isShown && station.depth === 0) throw forbidden('You are not allowed to view this room')
    if (!held || !isShown) continue
    const children = childrenOf(held.room, suggestedOnly)
    found.push({ ...summaryOf(held.room), children_state: children.map(strippedChild) })
    if (station.depth === maxDepth) continue
    for (const child of children.toReversed()) {
      const roomId = child.pdu.state_key ?? ''
      if (!seen.has(roomId)) ahead.push({ roomId, depth: station.depth + 1 })
    }
  }
  const isAtEnd = seen.size >= MAX_SEEN || ahead.every(({ roomId }) => seen.has(roomId))
  return { rooms: found, ...(!isAtEnd && { nextBatch: walks.keep({ ...walk, ahead, seen: [...seen] }) }) }
}

function walkFor(walks: SpaceWalks, wish: HierarchyWish): Walk {
  const { roomId, userId, suggestedOnly } = wish
  const maxDepth = Math.min(wish.maxDepth ?? MAX_DEPTH, MAX_DEPTH)
  const first = { userId, roomId, suggestedOnly, maxDepth, ahead: [{ roomId, depth: 0 }], seen: [] }
  if (wish.from === undefined) return first
  const walk = walks.find(wish.from)
  if (!walk || walk.userId !== userId || walk.roomId !== roomId)
    throw invalidParam('from is not a token of this server')
  if (walk.suggestedOnly !== suggestedOnly || walk.maxDepth !== maxDepth) {
    throw invalidParam('suggested_only and max_depth cannot change on paginated requests')
  }
  return walk
}

/** A space's valid children in their order, 500 at most. Spec: client-server-api §Ordering of children within a space. */
export function childrenOf(room: OpenRoom, suggestedOnly: boolean): readonly KeptEvent[] {
  const { state } = room.visible
  if (state.get('m.room.create')?.pdu.content.type !== 'm.space') return []
  const children: KeptEvent[] = []
  for (const [roomId, event] of state.ofType('m.space.child')) {
    const { via, suggested } = event.pdu.content
    if (!Array.isArray(via) || !via.every((server) => typeof server === 'string') || !isOpaqueId('!', roomId)) continue
    if (!suggestedOnly || suggested === true) children.push(event)
  }
  return children.sort(compareChildren).slice(0, MAX_CHILDREN)
}

const ORDER = /^[\x20-\x7e]{1,50}$/

function compareChildren(a: KeptEvent, b: KeptEvent): number {
  const [first, second] = [orderOf(a), orderOf(b)]
  if (first !== second) {
    if (first === undefined) return 1
    return second === undefined || first < second ? -1 : 1
  }
  const [earlier, later] = [Number(a.pdu.origin_server_ts), Number(b.pdu.origin_server_ts)]
  if (earlier !== later) return earlier - later
  return (a.pdu.state_key ?? '') < (b.pdu.state_key ?? '') ? -1 : 1
}

function orderOf({ pdu }: KeptEvent): string | undefined {
  const { order } = pdu.content
  return typeof order === 'string' && ORDER.test(order) ? order : undefined
}

export function strippedChild({ pdu }: KeptEvent): HierarchyRoom['children_state'][number] {
  const { type, state_key: stateKey = '', sender, content, origin_server_ts } = pdu
  return { type, state_key: stateKey, sender, content, origin_server_ts }
}
