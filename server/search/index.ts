/** The door of `search/`: finding what was said in rooms. Spec: client-server-api §Server Side Search. */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Rooms } from '../rooms/index.ts'
import { Indexer, type IndexerParts } from './indexer.ts'
import { type SearchWish, search } from './search.ts'

export interface Search extends AsyncDisposable {
  /** @returns the reply as JSON text. @throws MatrixError 400 M_INVALID_PARAM for a `nextBatch` that is no token of ours */
  find(wish: SearchWish): Promise<string>
  /** Catches up with what came while the server was down; to be called when all slices are there. */
  resume(): void
}

/** @param deps.path of the file that the index is kept in */
export function createSearch(
  deps: IndexerParts & {
    readonly rooms: Pick<Rooms, 'memberships' | 'readState'>
    readonly accounts: Pick<AccountsForReaders, 'findAccountData'>
  },
): Search {
  const { rooms, accounts } = deps
  const indexer = new Indexer(deps)
  return {
    find: (wish) => search({ rooms, accounts, indexer }, wish),
    resume: () => indexer.begin(),
    [Symbol.asyncDispose]: () => indexer[Symbol.asyncDispose](),
  }
}
