/**
 * Which rooms a request of sliding sync chooses: the windows of its lists, and its subscriptions.
 * Spec: MSC4186 §Lists and subscriptions.
 */
import type { MembershipEntry } from '../rooms/index.ts'
import type { AccountFacts } from './sliding-account-facts.ts'
import type { ChosenRoom, RememberedChoice } from './sliding-chosen.ts'
import { filterRooms } from './sliding-filter.ts'
import type { FilterFactsCache } from './sliding-filter-facts.ts'
import type { OrderedRoom, RoomOrder } from './sliding-room-order.ts'
import type { Place, Wish, WishedList } from './sliding-wish.ts'

export async function chooseRooms(
  cache: FilterFactsCache,
  wish: Wish,
  query: {
    readonly order: RoomOrder
    readonly account: AccountFacts
    readonly ignored: ReadonlySet<string>
    readonly before: RememberedChoice | undefined
  },
): Promise<RememberedChoice> {
  const { order, account, ignored, before } = query
  if (
    before?.key === wish.key &&
    before.order === order.rooms &&
    before.memberships === order.memberships &&
    before.accountVersion === account.version &&
    before.ignored === ignored
  ) {
    return before
  }
  const shown = ignored.size === 0 ? order.rooms : order.rooms.filter(({ entry }) => !isIgnored(entry, ignored))
  const rooms = new Map<string, ChosenRoom & { readonly place: Place }>()
  const counts = new Map<string, number>()
  for (const list of wish.lists) {
    const listed = await roomsOf(cache, list, { shown, order, account })
    counts.set(list.name, listed.length)
    const first = wish.withList(wish.nowhere, list.name)
    for (const { roomId, entry } of windowed(listed, list.ranges)) {
      const before = rooms.get(roomId)?.place
      // Ranges may overlap.
      if (before?.lists.at(-1) === list.name) continue
      rooms.set(roomId, { entry, place: before ? wish.withList(before, list.name) : first })
    }
  }
  for (const roomId of wish.subscriptions) {
    const entry = order.memberships.get(roomId)
    if (!entry || !maySubscribe(entry, ignored)) continue
    rooms.set(roomId, { entry, place: wish.withSubscription(rooms.get(roomId)?.place ?? wish.nowhere, roomId) })
  }
  const { rooms: ordered, memberships } = order
  return { rooms, counts, key: wish.key, order: ordered, memberships, accountVersion: account.version, ignored }
}

const isIgnored = ({ membership, sender }: MembershipEntry, ignored: ReadonlySet<string>): boolean =>
  membership === 'invite' && ignored.has(sender)

/** Whoever never had to do with a room is told nothing of it. */
function maySubscribe(entry: MembershipEntry, ignored: ReadonlySet<string>): boolean {
  if (isIgnored(entry, ignored)) return false
  return entry.membership === 'leave' || entry.membership === 'ban' ? entry.previous !== null : true
}

async function roomsOf(
  cache: FilterFactsCache,
  { filters, filterKey }: WishedList,
  known: { readonly shown: readonly OrderedRoom[]; readonly order: RoomOrder; readonly account: AccountFacts },
): Promise<readonly OrderedRoom[]> {
  const { shown, order, account } = known
  if (!filters || Object.keys(filters).length === 0) return shown
  return filterRooms(cache, shown, { filters, filterKey, account, memberships: order.memberships })
}

function* windowed(rooms: readonly OrderedRoom[], ranges: WishedList['ranges']): Iterable<OrderedRoom> {
  if (!ranges) yield* rooms
  else for (const [first, last] of ranges) yield* rooms.slice(first, last + 1)
}
