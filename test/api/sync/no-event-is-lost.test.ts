import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openStore as openDiskStore } from '../../../server/store/index.ts'
import { keptStore } from '../../support/kept-store.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

/** What a client gets of a room by syncing on and on, and whether it ever had a gap. */
class Follower {
  readonly who: Pick<Person, 'api'>
  readonly roomIds: readonly string[]
  readonly got = new Map<string, string[]>()
  hadGap = false
  #since: string | undefined

  constructor(who: Pick<Person, 'api'>, roomIds: readonly string[], since?: string) {
    this.who = who
    this.roomIds = roomIds
    this.#since = since
    for (const roomId of roomIds) this.got.set(roomId, [])
  }

  get since(): string | undefined {
    return this.#since
  }

  /** One sync; without a since what there is already does not count. */
  async step(timeout: number): Promise<void> {
    const filter = '{"room":{"timeline":{"limit":100}}}'
    const body = await rig.sync(this.who, { filter, timeout, since: this.#since })
    for (const roomId of this.#since === undefined ? [] : this.roomIds) {
      const room = rig.joined(body, roomId)
      if (!room) continue
      this.hadGap ||= room.timeline.limited
      this.got.get(roomId)?.push(...rig.ids(room.timeline.events))
    }
    this.#since = body.next_batch
  }

  /** Syncs until it has seen these events. */
  async until(last: ReadonlyMap<string, string>): Promise<void> {
    while ([...last].some(([roomId, eventId]) => !this.got.get(roomId)?.includes(eventId))) await this.step(60_000)
  }
}

async function people(server: TestServer, count: number): Promise<readonly Person[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => server.register(`person${i}`)))
}

/** Everybody talks in every room at once. @returns the last event of each room by the order of /messages, and all of them */
async function chatter(who: readonly Person[], roomIds: readonly string[], each: number): Promise<void> {
  await Promise.all(
    roomIds.flatMap((roomId) =>
      who.map(async (person) => {
        for (let i = 0; i < each; i += 1) await rig.say(person, roomId, `${person.userId} ${i}`)
      }),
    ),
  )
}

async function history(who: Pick<Person, 'api'>, roomId: string): Promise<readonly string[]> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`
  const page = await who.api.get<{ chunk: rig.WireEvent[] }>(path, { dir: 'b', limit: 500 })
  return rig.ids(page.body.chunk).toReversed()
}

/** Where the data lie while servers come and go. */
const onDisk = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-sync-'))
  return {
    openStore: () => openDiskStore({ dir }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
const inMemory = async () => ({ openStore: keptStore(), async [Symbol.asyncDispose]() {} })
const places = [
  ['in memory', inMemory],
  ['on disk', onDisk],
] as const

describe.each(places)('client-server-api §Syncing: a chain of syncs, %s', (_name, makePlace) => {
  it('brings each event once and in order to everybody, whatever happens at the same time', async () => {
    await using place = await makePlace()
    await using server = await startTestServer({ openStore: place.openStore })
    const who = await people(server, 4)
    const [first] = who as [Person, ...Person[]]
    const roomIds = [await rig.createRoom(first), await rig.createRoom(first)]
    for (const roomId of roomIds) for (const person of who.slice(1)) await rig.join(person, roomId)
    const followers = who.map((person) => new Follower(person, roomIds))
    for (const follower of followers) await follower.step(0)
    const starts = new Map(
      await Promise.all(roomIds.map(async (roomId) => [roomId, (await history(first, roomId)).length] as const)),
    )

    const last = new Map<string, string>()
    const talk = chatter(who, roomIds, 15).then(async () => {
      for (const roomId of roomIds) last.set(roomId, await rig.say(first, roomId, 'the end'))
    })
    let isOver = false
    const following = followers.map(async (follower) => {
      while (!isOver) await follower.step(50)
      await follower.until(last)
    })
    await talk
    isOver = true
    await Promise.all(following)

    for (const roomId of roomIds) {
      const all = (await history(first, roomId)).slice(starts.get(roomId))
      for (const follower of followers) {
        expect(follower.hadGap).toBe(false)
        expect(follower.got.get(roomId)).toEqual(all)
      }
    }
    expect(server.complaints).toEqual([])
  })

  it('goes on after a restart where it was', async () => {
    await using place = await makePlace()
    const { openStore } = place
    const tokens: string[] = []
    const sinces: (string | undefined)[] = []
    const got: string[][] = []
    let roomId = ''
    let before: readonly string[] = []
    {
      await using server = await startTestServer({ openStore })
      const who = await people(server, 3)
      const [first] = who as [Person, ...Person[]]
      roomId = await rig.createRoom(first)
      for (const person of who.slice(1)) await rig.join(person, roomId)
      const followers = who.map((person) => new Follower(person, [roomId]))
      for (const follower of followers) await follower.step(0)
      before = await history(first, roomId)
      await chatter(who, [roomId], 5)
      await followers[0]?.step(0)
      await chatter(who, [roomId], 5)
      for (const [i, follower] of followers.entries()) {
        tokens.push(who[i]?.accessToken ?? '')
        sinces.push(follower.since)
        got.push(follower.got.get(roomId) ?? [])
      }
    }
    await using server = await startTestServer({ openStore })
    const who = tokens.map((token) => ({ api: server.api(token) }))
    const last = await rig.say(who[0] as Person, roomId, 'after the restart')
    for (const [i, person] of who.entries()) {
      const follower = new Follower(person, [roomId], sinces[i])
      await follower.until(new Map([[roomId, last]]))
      expect(follower.hadGap).toBe(false)
      got[i]?.push(...(follower.got.get(roomId) ?? []))
    }
    const all = (await history(who[0] as Person, roomId)).slice(before.length)
    for (const list of got) expect(list).toEqual(all)
  })

  it('brings to-device messages once each, while others are sent', async () => {
    await using place = await makePlace()
    await using server = await startTestServer({ openStore: place.openStore })
    const [alice, bob, carol] = (await people(server, 3)) as [Person, Person, Person]
    const got: unknown[] = []
    let since = (await rig.sync(alice)).next_batch
    const sending = [bob, carol].map(async (sender, which) => {
      for (let n = 0; n < 60; n += 1) await rig.sendToDevice(sender, alice, { from: which, n })
    })
    while (got.length < 120) {
      const body = await rig.sync(alice, { since, timeout: 60_000 })
      got.push(...(body.to_device?.events ?? []).map(({ content }) => content))
      since = body.next_batch
    }
    await Promise.all(sending)
    for (const which of [0, 1]) {
      const own = got.filter((content) => (content as { from: number }).from === which)
      expect(own.map((content) => (content as { n: number }).n)).toEqual(Array.from({ length: 60 }, (_, n) => n))
    }
  })
})
