import type { Store } from '../../server/store/index.ts'
import { openMemoryStore } from './memory-store.ts'

/** A store in memory that outlives the servers which open it, for starting one anew on the same data. */
export function keptStore(): () => Promise<Store> {
  const kept = openMemoryStore()
  return async () => ({
    get position() {
      return kept.position
    },
    home: kept.home,
    openRoom: kept.openRoom,
    commit: kept.commit,
    scrub: kept.scrub,
    exclusive: kept.exclusive,
    async [Symbol.asyncDispose]() {},
  })
}
