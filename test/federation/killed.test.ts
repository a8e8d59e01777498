/** Homes as processes of their own, one of which is killed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type HearthSide, startHearth } from '../interop/federation/hearth.ts'
import {
  arrived,
  join as joinRoom,
  makeRoom,
  register,
  send,
  setState,
  stateOf,
  until,
} from '../interop/federation/side.ts'
import { makeTestCa } from '../support/certificates.ts'

const TEST_MS = 120_000

describe('a home that is killed', () => {
  let folder: string
  let one: HearthSide
  let other: HearthSide
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hearth-killed-'))
    const ca = await makeTestCa()
    one = await startHearth(join(folder, 'one'), ca)
    other = await startHearth(join(folder, 'other'), ca)
  }, TEST_MS)
  afterAll(async () => {
    await one?.[Symbol.asyncDispose]()
    await other?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it(
    'sends what it had promised to send, and hears what it missed, in order',
    async () => {
      const alice = await register(one, 'alice')
      const bob = await register(other, 'bob')
      const roomId = await makeRoom(alice)
      await joinRoom(bob, roomId, one.serverName)
      one.gate.close()
      other.gate.close()
      const promised = [await send(alice, roomId, 'promised'), await send(alice, roomId, 'promised, too')]
      promised.push(await setState(alice, roomId, 'm.room.topic', { topic: 'promised' }))
      await one.killAndRestart()
      const missed = [await send(bob, roomId, 'missed'), await send(bob, roomId, 'missed, too')]
      one.gate.open()
      other.gate.open()
      await send(alice, roomId, 'back again')
      for (const eventId of promised) await arrived(bob, roomId, eventId)
      for (const eventId of missed) await arrived(alice, roomId, eventId)
      const ids = async (person: typeof alice) =>
        [...(await stateOf(person, roomId)).values()]
          .map(({ event_id }) => event_id)
          .sort()
          .join()
      await until('the same state on both', async () => ((await ids(alice)) === (await ids(bob)) ? true : undefined))
    },
    TEST_MS,
  )
})
