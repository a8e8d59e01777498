/**
 * The filters of a list. Spec: MSC4186 §SlidingRoomFilter; MSC3575 for `room_name_like`.
 */
import type { SlidingFilters } from '../../shared/api/client/sync-msc4186.ts'
import type { MembershipEntry } from '../rooms/index.ts'
import type { AccountFacts } from './sliding-account-facts.ts'
import type { FilterFacts, FilterFactsCache } from './sliding-filter-facts.ts'
import type { OrderedRoom } from './sliding-room-order.ts'

/** So many rooms may have to be opened before others get their turn. */
const ROOMS_PER_TURN = 16
/** Verdicts remembered of one room; clients use a handful of filters. */
const MAX_VERDICTS = 16

/** By room as it was after its last event: what filters said, and what else that followed from. */
const verdicts = new WeakMap<OrderedRoom, Map<string, { readonly stamp: string; readonly passes: boolean }>>()

/**
 * The rooms of a list, in their order. A room is only judged anew after something changed that its verdict follows from.
 * @param query.filterKey names what the filters say
 */
export async function filterRooms(
  cache: FilterFactsCache,
  rooms: readonly OrderedRoom[],
  query: {
    readonly filters: SlidingFilters
    readonly filterKey: string
    readonly account: AccountFacts
    readonly memberships: ReadonlyMap<string, MembershipEntry>
  },
): Promise<readonly OrderedRoom[]> {
  const { filters, filterKey, account, memberships } = query
  const children = filters.spaces && (await childrenOf(cache, filters.spaces, memberships))
  const stamp = `${needsAccount(filters) ? account.version : ''} ${children?.stamp ?? ''}`
  const needsFacts =
    filters.is_encrypted != null || filters.room_types || filters.not_room_types || filters.room_name_like !== undefined
  const passing: OrderedRoom[] = []
  let read = 0
  for (const room of rooms) {
    const known = verdicts.get(room) ?? new Map()
    let verdict = known.get(filterKey)
    if (verdict?.stamp !== stamp) {
      let passes = passesWithoutFacts(filters, room.entry, { account, children: children?.rooms })
      if (passes && needsFacts) {
        const facts = cache.of(room.entry)
        if (facts instanceof Promise) {
          read += 1
          if (read % ROOMS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        passes = passesByFacts(filters, await facts)
      }
      verdict = { stamp, passes }
      if (known.size >= MAX_VERDICTS) known.clear()
      verdicts.set(room, known.set(filterKey, verdict))
    }
    if (verdict.passes) passing.push(room)
  }
  return passing
}

const needsAccount = ({ is_dm: isDm, tags, not_tags: notTags }: SlidingFilters): boolean =>
  isDm != null || tags !== undefined || notTags !== undefined

/** Only spaces that the user is in count. */
async function childrenOf(
  cache: FilterFactsCache,
  spaces: readonly string[],
  memberships: ReadonlyMap<string, MembershipEntry>,
): Promise<{ readonly rooms: ReadonlySet<string>; readonly stamp: string }> {
  const rooms = new Set<string>()
  const versions: number[] = []
  for (const spaceId of new Set(spaces)) {
    if (memberships.get(spaceId)?.membership !== 'join') continue
    const children = await cache.childrenOf(spaceId)
    versions.push(versionOf(children))
    for (const child of children) rooms.add(child)
  }
  return { rooms, stamp: versions.join('.') }
}

const versionsOfChildren = new WeakMap<ReadonlySet<string>, number>()
let versions = 0
/** A number that each set of children has for itself. */
function versionOf(children: ReadonlySet<string>): number {
  let version = versionsOfChildren.get(children)
  if (version === undefined) {
    versions += 1
    version = versions
    versionsOfChildren.set(children, version)
  }
  return version
}

function passesWithoutFacts(
  filters: SlidingFilters,
  { roomId, membership }: MembershipEntry,
  known: { readonly account: AccountFacts; readonly children: ReadonlySet<string> | undefined },
): boolean {
  const { is_dm: isDm, tags, not_tags: notTags } = filters
  const isInvited = filters.is_invited ?? filters.is_invite
  if (isInvited != null && isInvited !== (membership === 'invite')) return false
  if (isDm != null && isDm !== known.account.directs.has(roomId)) return false
  const has = (tag: string): boolean => known.account.tags.get(roomId)?.has(tag) === true
  if (notTags?.some(has)) return false
  if (tags && !tags.some(has)) return false
  return known.children === undefined || known.children.has(roomId)
}

function passesByFacts(filters: SlidingFilters, { type, isEncrypted, name }: FilterFacts): boolean {
  const { room_types: types, not_room_types: notTypes, room_name_like: like } = filters
  if (filters.is_encrypted != null && filters.is_encrypted !== isEncrypted) return false
  if (notTypes?.includes(type)) return false
  if (types && !types.includes(type)) return false
  return like === undefined || name.toLowerCase().includes(like.toLowerCase())
}
