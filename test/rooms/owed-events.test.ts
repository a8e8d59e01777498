import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { OwedPdu } from '../../server/federation/index.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const key = remoteKey(3)
let t: TestRooms
let b: RemoteServer
let txn = 0
beforeEach(async () => {
  t = await startTestRooms({ peers: peersOf([{ name: 'b.test', key }]) })
  b = remoteServer(t.rooms, 'b.test', key)
})
afterEach(() => t[Symbol.asyncDispose]())

const message = (body: string) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body } })

function say(roomId: string, body: string): Promise<string> {
  txn += 1
  return t.rooms.send({ roomId, requester: t.user('alice'), txnId: `t${txn}`, ...message(body) })
}

async function newest(roomId: string): Promise<string> {
  using view = await t.rooms.open(roomId)
  return (await view.timeline({ limit: 1, direction: 'backward' }))[0]?.eventId ?? ''
}

/** A room of alice with `@bob:b.test` in it. */
async function sharedRoom(): Promise<string> {
  const roomId = await t.rooms.createRoom({ creator: t.user('alice').userId, preset: 'public_chat' })
  await b.join(roomId, b.user('bob'), [await newest(roomId)])
  return roomId
}

const bodies = (pdus: readonly OwedPdu[]) => pdus.map(({ pdu }) => pdu.content.body ?? pdu.type)

/** All that is owed from a position on, page by page. */
async function allOwed(after: number, limit: number): Promise<readonly unknown[]> {
  const found: OwedPdu[] = []
  for (let from = after; ; ) {
    const { pdus, upTo, isComplete } = await t.rooms.owed.owedTo('b.test', from, limit)
    found.push(...pdus)
    if (isComplete) return bodies(found)
    expect(upTo).toBeGreaterThan(from)
    from = upTo
  }
}

describe.each([
  ['from memory', async (): Promise<void> => undefined],
  [
    'from the disk',
    async (): Promise<void> => {
      t = await t.reopen()
      b = remoteServer(t.rooms, 'b.test', key)
    },
  ],
] as const)('what a server is owed, %s', (_, meanwhile) => {
  it('is what our users did since it came, in the order of all rooms together', async () => {
    const start = t.store.position
    const one = await sharedRoom()
    const two = await sharedRoom()
    const said: string[] = []
    for (let i = 0; i < 30; i += 1) {
      said.push(`m${i}`)
      await say(i % 3 === 0 ? one : two, `m${i}`)
    }
    await meanwhile()
    expect(await allOwed(start, 100)).toEqual(said)
    expect(await allOwed(start, 7)).toEqual(said)
    expect(await t.rooms.owed.serversOwed(start)).toEqual(new Set(['b.test']))
    expect(await t.rooms.owed.serversOwed(t.store.position)).toEqual(new Set())
  })

  it('is found between many events of others', async () => {
    const roomId = await sharedRoom()
    const start = t.store.position
    let last = await newest(roomId)
    for (let i = 0; i < 260; i += 1) {
      last = (await b.send({ roomId, sender: b.user('bob'), ...message(`theirs ${i}`), on: [last] })).eventId
      if (i === 130) last = await say(roomId, 'ours in the middle')
    }
    await say(roomId, 'ours at the end')
    for (let i = 0; i < 5; i += 1) {
      await b.send({ roomId, sender: b.user('bob'), ...message(`later ${i}`), on: [await newest(roomId)] })
    }
    await meanwhile()
    expect(await allOwed(start, 10)).toEqual(['ours in the middle', 'ours at the end'])
    expect(bodies((await t.rooms.owed.newestOwedTo('b.test', start)).pdus)).toEqual(['ours at the end'])
  })

  it('comes in whole commits, however many events one brought', async () => {
    const roomId = await sharedRoom()
    const start = t.store.position
    const said = Array.from({ length: 40 }, (_, i) => `m${i}`)
    await Promise.all(said.map((body) => say(roomId, body)))
    await meanwhile()
    expect(new Set(await allOwed(start, 3))).toEqual(new Set(said))
    expect(await allOwed(start, 3)).toHaveLength(40)
  })

  it('has the kick of its last user, and what was before it, and nothing after it until somebody comes back', async () => {
    const roomId = await sharedRoom()
    const start = t.store.position
    await say(roomId, 'before')
    await t.rooms.kick({ roomId, by: t.user('alice').userId, target: b.user('bob') })
    await say(roomId, 'among us')
    const back = await b.build({
      roomId,
      sender: b.user('bob'),
      type: 'm.room.member',
      stateKey: b.user('bob'),
      content: { membership: 'join' },
      on: [await newest(roomId)],
    })
    await meanwhile()
    expect(await allOwed(start, 100)).toEqual(['before', 'm.room.member'])
    await t.rooms.receive({ roomId, json: back.pdu as never, from: 'b.test' })
    await say(roomId, 'together again')
    expect(await allOwed(start, 100)).toEqual(['before', 'm.room.member', 'together again'])
    const upTo = t.store.position
    await t.rooms.owed.delivered(() => upTo)
    expect(await allOwed(upTo, 100)).toEqual([])
  })
})

describe('what a server is owed', () => {
  it('has the ban of a user who was never in the room, and nothing else of it', async () => {
    const roomId = await t.rooms.createRoom({ creator: t.user('alice').userId, preset: 'public_chat' })
    const start = t.store.position
    await say(roomId, 'among us')
    await t.rooms.ban({ roomId, by: t.user('alice').userId, target: b.user('mallory') })
    await say(roomId, 'still among us')
    expect(await allOwed(start, 100)).toEqual(['m.room.member'])
    t = await t.reopen()
    expect(await t.rooms.owed.serversOwed(start)).toEqual(new Set(['b.test']))
    expect(await allOwed(start, 100)).toEqual(['m.room.member'])
  })

  it('is no soft-failed or rejected event, and nothing of the server itself', async () => {
    const roomId = await sharedRoom()
    const start = t.store.position
    await b.send({ roomId, sender: b.user('bob'), ...message('hello'), on: [await newest(roomId)] })
    const forged = { type: 'm.room.name', stateKey: '', content: { name: 'mine' } }
    await b.send({ roomId, sender: b.user('bob'), ...forged, on: [await newest(roomId)] })
    expect(await allOwed(start, 100)).toEqual([])
    expect(await t.rooms.owed.serversOwed(start)).toEqual(new Set())
  })

  it('is told to listeners with the servers that it is owed to, after the commit', async () => {
    const told: unknown[] = []
    const end = t.rooms.owed.onOwed((servers, position) => told.push([servers, position]))
    const roomId = await sharedRoom()
    expect(told).toEqual([])
    await say(roomId, 'hello')
    expect(told).toEqual([[['b.test'], t.store.position]])
    end()
    await say(roomId, 'nobody listens')
    expect(told).toHaveLength(1)
  })
})
