import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StorageFull, type Store } from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** The rooms that the store was told to write anew, time for time. */
let scrubbed: (readonly string[])[]
let gate: Promise<void> | undefined
let failure: Error | undefined
const watched = (kept: Store): Store => ({
  ...kept,
  get position() {
    return kept.position
  },
  async scrub(roomIds) {
    scrubbed.push(roomIds)
    await gate
    if (failure) throw failure
    return kept.scrub(roomIds)
  },
  [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
})

let t: TestRooms
let roomId: string
let txn = 0
beforeEach(async () => {
  scrubbed = []
  gate = undefined
  failure = undefined
  t = await startTestRooms({ store: watched(openMemoryStore()) })
  roomId = await t.rooms.createRoom({ creator: t.user('alice').userId })
  await t.rooms.resume()
})
afterEach(() => t[Symbol.asyncDispose]())

async function sayAndRedact(): Promise<void> {
  const requester = t.user('alice')
  const content = { msgtype: 'm.text', body: 'secret' }
  const eventId = await t.rooms.send({ roomId, requester, txnId: `s${++txn}`, type: 'm.room.message', content })
  await t.rooms.redact({ roomId, requester, txnId: `r${++txn}`, eventId, reason: undefined })
}
async function later(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += HOUR) {
    t.clock.advance(HOUR)
    await t.rooms.choresDone()
  }
}

describe('what is off the disk a day after it was taken back', () => {
  it('are rooms with a redaction, once a day however many there were, and no others', async () => {
    await t.rooms.createRoom({ creator: t.user('alice').userId })
    await sayAndRedact()
    await later(12 * HOUR)
    await sayAndRedact()
    expect(scrubbed).toEqual([])
    await later(13 * HOUR)
    expect(scrubbed).toEqual([[roomId]])
    await later(3 * DAY)
    expect(scrubbed).toEqual([[roomId]])
  })

  it('are known after a restart', async () => {
    await sayAndRedact()
    t = await t.reopen()
    t.clock.advance(25 * HOUR)
    await t.rooms.resume()
    await t.rooms.choresDone()
    expect(scrubbed).toEqual([[roomId]])
  })

  it('are looked at again where something was taken back meanwhile', async () => {
    await sayAndRedact()
    await later(23 * HOUR)
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    t.clock.advance(HOUR)
    await expect.poll(() => scrubbed).toHaveLength(1)
    await sayAndRedact()
    resolve()
    await t.rooms.choresDone()
    await later(23 * HOUR)
    expect(scrubbed).toHaveLength(1)
    await later(2 * HOUR)
    expect(scrubbed).toHaveLength(2)
    await later(2 * DAY)
    expect(scrubbed).toHaveLength(2)
  })

  it('are tried again in an hour after an error of the disk', async () => {
    await sayAndRedact()
    failure = new StorageFull('the disk is full')
    await later(25 * HOUR)
    const tries = scrubbed.length
    expect(tries).toBeGreaterThan(0)
    failure = undefined
    await later(2 * HOUR)
    expect(scrubbed.length).toBe(tries + 1)
    await later(2 * DAY)
    expect(scrubbed.length).toBe(tries + 1)
  })
})
