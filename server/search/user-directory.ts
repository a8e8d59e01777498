/** Finding users. Spec: client-server-api §User Directory. */
import { localpartOf, serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Accounts } from '../accounts/index.ts'
import type { Rooms } from '../rooms/index.ts'
import type { RoomsForAll } from './rooms-for-all.ts'
import { fold } from './terms.ts'

const DEFAULT_LIMIT = 10
const MAX_LIMIT = 50

export interface UserWish {
  readonly userId: string
  readonly term: string
  readonly limit: number | undefined
}

export interface FoundUser {
  readonly user_id: string
  readonly display_name?: string
  readonly avatar_url?: string
}

export interface UserSources {
  readonly serverName: string
  readonly accounts: Pick<Accounts, 'listPeople'>
  readonly rooms: Pick<Rooms, 'memberships' | 'joinedUsers' | 'serversIn' | 'changedSince' | 'open'>
  readonly roomsForAll: Pick<RoomsForAll, 'has'>
}

/**
 * Users by name and ID, best first: who is of this home, whoever the searcher shares a room with, and who is in a room that
 * anybody may join or read.
 */
export async function searchUsers(
  sources: UserSources,
  { userId, term, limit = DEFAULT_LIMIT }: UserWish,
): Promise<{ readonly results: FoundUser[]; readonly limited: boolean }> {
  const wanted = fold(term.trim())
  if (wanted === '') return { results: [], limited: false }
  const matches: { readonly user: FoundUser; readonly rank: number }[] = []
  for (const user of await visibleUsers(sources, userId)) {
    const rank = rankOf(user, wanted)
    if (rank !== undefined) matches.push({ user, rank })
  }
  matches.sort(
    (one, other) =>
      one.rank - other.rank ||
      Number(hasProfile(other.user)) - Number(hasProfile(one.user)) ||
      (one.user.user_id < other.user.user_id ? -1 : 1),
  )
  const size = Math.min(Math.max(limit, 0), MAX_LIMIT)
  return { results: matches.slice(0, size).map(({ user }) => user), limited: matches.length > size }
}

const hasProfile = ({ display_name: name, avatar_url: avatar }: FoundUser): boolean =>
  name !== undefined || avatar !== undefined

/** @returns less for what fits better: all of a name, its beginning, words' beginnings, any part; `undefined` for no match */
function rankOf({ user_id: userId, display_name: displayName = '' }: FoundUser, wanted: string): number | undefined {
  const names = [fold(displayName), fold(localpartOf(userId))]
  const fullId = fold(userId)
  if (names.includes(wanted) || fullId === wanted) return 0
  if ([...names, fullId].some((name) => name.startsWith(wanted))) return 1
  const words = wanted.split(/\s+/)
  const parts = names.flatMap((name) => name.split(/[^\p{L}\p{N}\p{M}]+/u))
  if (words.every((word) => parts.some((part) => part.startsWith(word)))) return 2
  // The name of the home is in everybody's ID, so it counts only where an ID is meant.
  const isPart = (word: string): boolean =>
    names.some((name) => name.includes(word)) || (/[@:]/.test(word) && fullId.includes(word))
  return words.every(isPart) ? 3 : undefined
}

async function visibleUsers(sources: UserSources, userId: string): Promise<readonly FoundUser[]> {
  const { serverName, accounts, rooms } = sources
  const people = await accounts.listPeople()
  // Bridges make users by the thousand, and guests come and go: they are found as users of other servers are.
  const outsiders = new Set(people.filter(({ isOutsider }) => isOutsider).map((person) => person.userId))
  const users = new Map<string, FoundUser>()
  const visible = new Set<string>()
  for await (const roomId of roomsInSight(sources, userId, outsiders)) {
    const joined = await rooms.joinedUsers(roomId)
    for (const other of joined) if (outsiders.has(other)) visible.add(other)
    const remote = [...joined].filter((other) => serverNameOf(other) !== serverName && !users.has(other))
    if (remote.length === 0) continue
    // Of other servers' users their own rooms are all that is known.
    using view = await rooms.open(roomId)
    for (const other of remote) {
      users.set(other, foundUser(other, view.state.get('m.room.member', other)?.pdu.content))
    }
  }
  for (const person of people) {
    if (person.isOutsider && !visible.has(person.userId)) continue
    users.set(person.userId, foundUser(person.userId, person.profile))
  }
  users.delete(userId)
  return [...users.values()]
}

/** The rooms in which the user is joined, and of the others those that are for all and have members who are not of this home. */
async function* roomsInSight(
  { rooms, roomsForAll }: UserSources,
  userId: string,
  outsiders: ReadonlySet<string>,
): AsyncGenerator<string> {
  const memberships = await rooms.memberships(userId)
  for (const roomId of rooms.changedSince(0)) {
    if (memberships.get(roomId)?.membership === 'join') {
      yield roomId
      continue
    }
    const hasRemote = (await rooms.serversIn(roomId)).size > 0
    const hasOthers = hasRemote || [...(await rooms.joinedUsers(roomId))].some((member) => outsiders.has(member))
    if (hasOthers && (await roomsForAll.has(roomId))) yield roomId
  }
}

function foundUser(userId: string, profile: { readonly [key: string]: unknown } = {}): FoundUser {
  const { displayname: name, avatar_url: avatar } = profile
  return {
    user_id: userId,
    ...(typeof name === 'string' && name !== '' && { display_name: name }),
    ...(typeof avatar === 'string' && avatar !== '' && { avatar_url: avatar }),
  }
}
