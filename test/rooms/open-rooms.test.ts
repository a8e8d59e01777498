import { describe, expect, it } from 'vitest'
import type { Store } from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { startTestRooms } from '../support/test-rooms.ts'

/** A store that counts who has which room open. */
function counting(store: Store): { readonly store: Store; readonly open: Set<string> } {
  const open = new Set<string>()
  return {
    open,
    store: {
      get position() {
        return store.position
      },
      home: store.home,
      async openRoom(roomId) {
        const lease = await store.openRoom(roomId)
        open.add(roomId)
        return {
          ...lease,
          [Symbol.dispose]() {
            open.delete(roomId)
            lease[Symbol.dispose]()
          },
        }
      },
      scrub: (roomIds) => store.scrub(roomIds),
      exclusive: (key, work) => store.exclusive(key, work),
      commit: (build) => store.commit(build),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    },
  }
}

describe('rooms that nobody uses', () => {
  it('are let go, also where they were only made and never opened', async () => {
    const { store, open } = counting(openMemoryStore())
    await using t = await startTestRooms({ store })
    const alice = t.user('alice')
    const made: string[] = []
    for (let i = 0; i < 80; i += 1) made.push(await t.rooms.createRoom({ creator: alice.userId }))
    expect(open.size).toBeLessThanOrEqual(65)

    // The first one, which was let go, is as it was.
    using view = await t.rooms.open(made[0] ?? '')
    expect(view.state.get('m.room.create')?.pdu.sender).toBe(alice.userId)
  })

  it('stay while they are being made, however many there are', async () => {
    const { store } = counting(openMemoryStore())
    await using t = await startTestRooms({ store })
    const creator = t.user('alice').userId
    const made = await Promise.all(
      Array.from({ length: 100 }, () => t.rooms.createRoom({ creator, name: 'One of many' })),
    )
    expect(new Set(made).size).toBe(100)
  })
})
