/** What rooms a space holds. Spec: client-server-api §Discovering rooms within spaces. */
import { forbidden, invalidParam } from '../../shared/matrix/errors.ts'
import { isOpaqueId } from '../../shared/matrix/identifiers.ts'
import type { RoomsCore } from './core.ts'
import { isElsewhere } from './elsewhere/outside.ts'
import { type SpacesElsewhere, viaOf } from './elsewhere/spaces.ts'
import type { RemoteSummary } from './elsewhere/summaries.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { mayKnow, summaryOf } from './room-summary.ts'
import type { RoomSummary, StrippedChild } from './shown-outside.ts'
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
  readonly children_state: readonly StrippedChild[]
}

export interface HierarchyPage {
  readonly rooms: readonly (RemoteSummary & Pick<HierarchyRoom, 'children_state'>)[]
  readonly nextBatch?: string
}

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100
const MAX_DEPTH = 20
/** Children of one space, and rooms of one walk; what is beyond is not shown. */
const MAX_CHILDREN = 500
const MAX_SEEN = 2_000
/** So many of the rooms ahead are asked for together where other servers know of them. */
const ASKED_AHEAD = 6
/** A page ends where it is after so long; the next one goes on. */
const MAX_PAGE_MS = 25_000

/**
 * A page of the rooms in a space, depth first, children in their order, each room once. Of rooms that this server is not in
 * others are asked; where none of them answers, or shows it, the walk goes on without the room.
 * @throws MatrixError 403 M_FORBIDDEN for a space that the user may not know of, 400 M_INVALID_PARAM for another walk's token
 */
export async function readHierarchy(
  core: RoomsCore,
  rooms: OpenRooms,
  { walks, elsewhere }: { readonly walks: SpaceWalks; readonly elsewhere: SpacesElsewhere },
  wish: HierarchyWish,
): Promise<HierarchyPage> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  const walk = walkFor(walks, wish)
  const { maxDepth } = walk
  const limit = Math.min(Math.max(wish.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
  const { clock } = core.environment
  const endTs = clock.now() + MAX_PAGE_MS
  const ahead: Station[] = [...walk.ahead]
  const seen = new Set(walk.seen)
  const found: HierarchyPage['rooms'][number][] = []
  while (found.length < limit && seen.size < MAX_SEEN && clock.now() < endTs) {
    const station = ahead.pop()
    if (!station) break
    // Breaks loops, too.
    if (seen.has(station.roomId)) continue
    seen.add(station.roomId)
    const isFar = await isRoomElsewhere(core, rooms, station.roomId)
    if (isFar) await askAhead(core, rooms, elsewhere, walk, [station, ...ahead.slice(-ASKED_AHEAD).reverse()])
    const shown =
      (isFar ? await describeElsewhere(elsewhere, walk, station) : undefined) ??
      (await describe(core, rooms, walk, station.roomId))
    // A room that is not there and one that is closed look the same from outside.
    if (!shown && station.depth === 0) throw forbidden('You are not allowed to view this room')
    if (!shown) continue
    found.push({ ...shown.summary, children_state: shown.children })
    if (station.depth === maxDepth) continue
    for (const child of shown.children.toReversed()) {
      const roomId = child.state_key
      const via = [...(shown.server === undefined ? [] : [shown.server]), ...viaOf(child)]
      if (!seen.has(roomId)) ahead.push({ roomId, depth: station.depth + 1, via })
    }
  }
  const isAtEnd = seen.size >= MAX_SEEN || ahead.every(({ roomId }) => seen.has(roomId))
  return { rooms: found, ...(!isAtEnd && { nextBatch: walks.keep({ ...walk, ahead, seen: [...seen] }) }) }
}

/** A room as the user at hand may see it. */
interface Described {
  readonly summary: RemoteSummary
  readonly children: readonly StrippedChild[]
  /** Where it is another server that said so. */
  readonly server?: string
}

async function describe(
  core: RoomsCore,
  rooms: OpenRooms,
  { userId, suggestedOnly }: Walk,
  roomId: string,
): Promise<Described | undefined> {
  using held = await rooms.hold(roomId)
  if (!held || !(await mayKnow(core, held.room, userId))) return undefined
  return { summary: summaryOf(held.room), children: childrenOf(held.room, suggestedOnly).map(strippedChild) }
}

async function describeElsewhere(
  elsewhere: SpacesElsewhere,
  { userId, suggestedOnly }: Walk,
  { roomId, via }: Station,
): Promise<Described | undefined> {
  const room = await elsewhere.find({ roomId, userId, via, suggestedOnly })
  if (!room || !(await elsewhere.mayKnow(room, userId))) return undefined
  return { ...room, children: room.children.toSorted(compareChildren) }
}

async function isRoomElsewhere(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<boolean> {
  using held = await rooms.hold(roomId)
  return isElsewhere(core, held?.room)
}

/** What is found is remembered, for when the walk comes to it. */
async function askAhead(
  core: RoomsCore,
  rooms: OpenRooms,
  elsewhere: SpacesElsewhere,
  { userId, suggestedOnly }: Walk,
  stations: readonly Station[],
): Promise<void> {
  await Promise.all(
    stations.map(async ({ roomId, via }) => {
      if (!(await isRoomElsewhere(core, rooms, roomId))) return
      await elsewhere.find({ roomId, userId, via, suggestedOnly })
    }),
  )
}

function walkFor(walks: SpaceWalks, wish: HierarchyWish): Walk {
  const { roomId, userId, suggestedOnly } = wish
  const maxDepth = Math.min(wish.maxDepth ?? MAX_DEPTH, MAX_DEPTH)
  const first = { userId, roomId, suggestedOnly, maxDepth, ahead: [{ roomId, depth: 0, via: [] }], seen: [] }
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
  return children.sort((a, b) => compareChildren(placeOf(a), placeOf(b))).slice(0, MAX_CHILDREN)
}

const ORDER = /^[\x20-\x7e]{1,50}$/

type Placed = Pick<StrippedChild, 'content' | 'origin_server_ts' | 'state_key'>

const placeOf = ({ pdu }: KeptEvent): Placed => ({
  content: pdu.content,
  origin_server_ts: Number(pdu.origin_server_ts),
  state_key: pdu.state_key ?? '',
})

function compareChildren(a: Placed, b: Placed): number {
  const [first, second] = [orderOf(a), orderOf(b)]
  if (first !== second) {
    if (first === undefined) return 1
    return second === undefined || first < second ? -1 : 1
  }
  if (a.origin_server_ts !== b.origin_server_ts) return a.origin_server_ts - b.origin_server_ts
  return a.state_key < b.state_key ? -1 : 1
}

function orderOf({ content: { order } }: Placed): string | undefined {
  return typeof order === 'string' && ORDER.test(order) ? order : undefined
}

export function strippedChild({ pdu }: KeptEvent): StrippedChild {
  const { type, state_key: stateKey = '', sender, content, origin_server_ts } = pdu
  return { type, state_key: stateKey, sender, content, origin_server_ts }
}
