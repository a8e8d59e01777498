/** The door of `search/`: finding what was said in rooms, and users. Spec: client-server-api §Server Side Search, §User Directory. */
import type { Accounts } from '../accounts/index.ts'
import type { Rooms } from '../rooms/index.ts'
import { Indexer, type IndexerParts } from './indexer.ts'
import { RoomsForAll } from './rooms-for-all.ts'
import { type SearchWish, search } from './search.ts'
import { searchUsers, type UserWish } from './user-directory.ts'

export interface Search extends AsyncDisposable {
  /** @returns the reply as JSON text. @throws MatrixError 400 M_INVALID_PARAM for a `nextBatch` that is no token of ours */
  find(wish: SearchWish): Promise<string>
  /** Users by name and ID, best first. */
  findUsers(wish: UserWish): ReturnType<typeof searchUsers>
  /** Catches up with what came while the server was down; to be called when all slices are there. */
  resume(): void
}

/** @param deps.path of the file that the index is kept in */
export function createSearch(
  deps: IndexerParts & {
    readonly rooms: Pick<Rooms, 'memberships' | 'readState' | 'joinedUsers' | 'serversIn'>
    readonly accounts: Pick<Accounts, 'findAccountData' | 'listPeople'>
  },
): Search {
  const { rooms, accounts } = deps
  const indexer = new Indexer(deps)
  const roomsForAll = new RoomsForAll(rooms)
  return {
    find: (wish) => search({ rooms, accounts, indexer }, wish),
    findUsers: (wish) => searchUsers({ serverName: deps.environment.serverName, accounts, rooms, roomsForAll }, wish),
    resume: () => indexer.begin(),
    [Symbol.asyncDispose]: () => indexer[Symbol.asyncDispose](),
  }
}
