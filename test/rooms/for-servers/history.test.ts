import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventIdOf } from '../../../server/protocol/event-id.ts'
import type { JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../../server/protocol/room-versions.ts'
import { partialRooms, partialRow } from '../../../server/rooms/partial-state.ts'
import { put } from '../../../server/store/index.ts'
import { GuestServer, textOf } from '../../support/guest-server.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../../support/test-rooms.ts'

const VERSION = '11'
const key = remoteKey(3)
const outsiderKey = remoteKey(4)
let t: TestRooms
let remote: RemoteServer
let guest: GuestServer
let outsider: GuestServer
beforeEach(async () => {
  const outside = { name: 'outside.test', key: outsiderKey }
  t = await startTestRooms({ peers: peersOf([{ name: 'remote.test', key }, outside]) })
  remote = remoteServer(t.rooms, 'remote.test', key)
  guest = new GuestServer(t.rooms, remote)
  outsider = new GuestServer(t.rooms, outside)
})
afterEach(() => t[Symbol.asyncDispose]())

const server = 'remote.test'
const alice = '@alice:hearth.test'
const refusal = (errcode: string, status: number) => expect.objectContaining({ errcode, status })

const makeRoom = (more: object = {}): Promise<string> =>
  t.rooms.createRoom({ creator: alice, preset: 'public_chat', room_version: VERSION, ...more })
const setState = (roomId: string, type: string, content: JsonObject, stateKey = '') =>
  t.rooms.setState({ roomId, requester: t.user('alice'), type, stateKey, content })
let txn = 0
function say(roomId: string, body: string): Promise<string> {
  txn += 1
  const content = { msgtype: 'm.text', body }
  return t.rooms.send({ roomId, requester: t.user('alice'), txnId: `t${txn}`, type: 'm.room.message', content })
}

const pdusIn = (texts: readonly string[]) => texts.map((text) => JSON.parse(text) as JsonObject)
const idOf = (pdu: JsonObject): string => eventIdOf(pdu as unknown as Pdu, getRoomVersion(VERSION))
const contentOf = (given: ReadonlyMap<string, JsonObject>, eventId: string) =>
  (given.get(eventId)?.content ?? {}) as JsonObject
const bodies = (texts: readonly string[]) => pdusIn(texts).map(({ content }) => (content as JsonObject).body)

const backfill = (roomId: string, from: readonly string[], limit = 100, asking = server) =>
  t.rooms.forServers.backfill({ server: asking, roomId, from, limit })
const missing = (
  roomId: string,
  wish: { earliest?: readonly string[]; latest: readonly string[]; limit?: number; minDepth?: number },
) =>
  t.rooms.forServers.listMissingEvents({
    server,
    roomId,
    earliest: [],
    limit: undefined,
    minDepth: undefined,
    ...wish,
  })
const stateAt = async (roomId: string, eventId: string) =>
  JSON.parse(await textOf(await t.rooms.forServers.readStateAt({ server, roomId, eventId }))) as {
    pdus: JsonObject[]
    auth_chain: JsonObject[]
  }

describe('server-server-api §Backfilling and retrieving missing events', () => {
  it('gives the events that were asked for and those before them, the newest first, up to the limit', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    const sent = []
    for (const body of ['1', '2', '3', '4']) sent.push(await say(roomId, body))
    expect(bodies(await backfill(roomId, [sent[2] ?? ''], 2))).toEqual(['3', '2'])
    expect((await backfill(roomId, [sent[3] ?? ''])).length).toBeGreaterThan(8)
    expect(idOf(pdusIn(await backfill(roomId, [sent[3] ?? ''])).at(-1) ?? {})).toBe(await createOf(roomId))
    expect(await backfill(roomId, ['$unknown'])).toEqual([])
    expect(await backfill(roomId, [sent[0] ?? ''], 0)).toEqual([])
    expect(await backfill(roomId, [sent[0] ?? ''], -5)).toEqual([])
  })

  it('never gives more than 100 events', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    let last = ''
    for (let i = 0; i < 110; i += 1) last = await say(roomId, String(i))
    expect(await backfill(roomId, [last], 1_000_000)).toHaveLength(100)
  })

  it('gives what lies between what a server has and what it got, the oldest first', async () => {
    const roomId = await makeRoom()
    const { eventId } = await guest.join(roomId, guest.user('eve'))
    const sent = []
    for (const body of ['1', '2', '3', '4', '5']) sent.push(await say(roomId, body))
    const latest = [sent[4] ?? '']
    expect(bodies(await missing(roomId, { earliest: [eventId], latest }))).toEqual(['1', '2', '3', '4'])
    expect(bodies(await missing(roomId, { earliest: [sent[1] ?? ''], latest, limit: 10 }))).toEqual(['3', '4'])
    // The nearest to what it got come first where they are too many.
    expect(bodies(await missing(roomId, { earliest: [eventId], latest, limit: 2 }))).toEqual(['3', '4'])
    using view = await t.rooms.open(roomId)
    const third = await view.find(sent[2] ?? '')
    expect(bodies(await missing(roomId, { latest, minDepth: Number(third?.pdu.depth) }))).toEqual(['3', '4'])
    expect(await missing(roomId, { latest: ['$unknown'] })).toEqual([])
    expect(await missing(roomId, { latest, limit: -1 })).toEqual([])
  })

  it('walks both arms of a fork, and gives nothing twice', async () => {
    const roomId = await makeRoom()
    const eve = guest.user('eve')
    const { eventId: joined } = await guest.join(roomId, eve)
    const message = (body: string, on: readonly string[]) => ({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: { msgtype: 'm.text', body },
      on,
    })
    const left = (await remote.send(message('left', [joined]))).eventId
    const right = (await remote.send(message('right', [joined]))).eventId
    const merged = (await remote.send(message('merged', [left, right]))).eventId
    expect(bodies(await missing(roomId, { earliest: [joined], latest: [merged] })).toSorted()).toEqual([
      'left',
      'right',
    ])
    expect(bodies(await backfill(roomId, [merged], 3)).toSorted()).toEqual(['left', 'merged', 'right'])
  })

  it('gives soft-failed events, on which others may have built, and no rejected ones', async () => {
    const roomId = await makeRoom()
    const eve = guest.user('eve')
    const { eventId: joined } = await guest.join(roomId, eve)
    await guest.join(roomId, guest.user('eva'))
    await setState(roomId, 'm.room.member', { membership: 'ban' }, eve)
    const text = (body: string) => ({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: { msgtype: 'm.text', body },
    })
    const soft = await remote.send({ ...text('from before the ban'), on: [joined] })
    expect(soft.reception).toMatchObject({ outcome: 'softFailed' })
    const topic = { roomId, sender: eve, type: 'm.room.topic', stateKey: '', content: { topic: 'none of theirs' } }
    const rejected = await remote.send({ ...topic, on: [soft.eventId], authFrom: joined })
    expect(rejected.reception.outcome).toBe('rejected')
    const given = pdusIn(await backfill(roomId, [rejected.eventId]))
    expect(given.map(idOf)).toContain(soft.eventId)
    expect(given.map(idOf)).not.toContain(rejected.eventId)
    // By its ID it is given, for servers that want to know the state after it.
    const text2 = await t.rooms.forServers.findEvent(server, rejected.eventId)
    expect(idOf(JSON.parse(text2) as JsonObject)).toBe(rejected.eventId)
  })
})

async function createOf(roomId: string): Promise<string> {
  using view = await t.rooms.open(roomId)
  return view.state.get('m.room.create')?.eventId ?? ''
}

describe('what another server may see', () => {
  it.each([
    ['shared', 'before'],
    ['world_readable', 'before'],
    ['invited', undefined],
    ['joined', undefined],
  ])('history that is %s from before its users joined', async (visibility, body) => {
    const roomId = await makeRoom()
    await setState(roomId, 'm.room.history_visibility', { history_visibility: visibility })
    const before = await say(roomId, 'before')
    const { eventId: joined } = await guest.join(roomId, guest.user('eve'))
    const after = await say(roomId, 'after')
    const given = new Map(pdusIn(await backfill(roomId, [after])).map((pdu) => [idOf(pdu), pdu]))
    expect(contentOf(given, before).body).toBe(body)
    expect(contentOf(given, after).body).toBe('after')
    expect(contentOf(given, joined).membership).toBe('join')
    // The redacted form has its ID still, so that the DAG is complete.
    expect([...given.keys()]).toContain(before)
    const alone = JSON.parse(await t.rooms.forServers.findEvent(server, before)) as JsonObject
    expect((alone.content as JsonObject).body).toBe(body)
  })

  it('state whole, which it could have by /state as well', async () => {
    const roomId = await makeRoom()
    await setState(roomId, 'm.room.history_visibility', { history_visibility: 'joined' })
    const topic = await setState(roomId, 'm.room.topic', { topic: 'before' })
    const { eventId: joined } = await guest.join(roomId, guest.user('eve'))
    const given = new Map(pdusIn(await backfill(roomId, [joined])).map((pdu) => [idOf(pdu), pdu]))
    expect(contentOf(given, topic)).toEqual({ topic: 'before' })
  })

  it('what was said while none of its users was there any more is redacted, for those who are there again', async () => {
    const roomId = await makeRoom()
    await setState(roomId, 'm.room.history_visibility', { history_visibility: 'joined' })
    await guest.join(roomId, guest.user('eve'))
    const first = await say(roomId, 'first')
    await guest.leave(roomId, guest.user('eve'))
    const between = await say(roomId, 'between')
    await guest.join(roomId, guest.user('eva'))
    const given = new Map(pdusIn(await backfill(roomId, [await say(roomId, 'last')])).map((pdu) => [idOf(pdu), pdu]))
    expect(contentOf(given, first).body).toBe('first')
    expect(contentOf(given, between).body).toBeUndefined()
  })

  it('messages of somebody who wanted theirs gone are redacted, unless its users were there', async () => {
    const roomId = await makeRoom()
    const bob = t.user('bob')
    await t.rooms.join({ roomId, userId: bob.userId, isGuest: false })
    const said = (txnId: string) =>
      t.rooms.send({
        roomId,
        requester: bob,
        txnId,
        type: 'm.room.message',
        content: { msgtype: 'm.text', body: txnId },
      })
    const before = await said('before')
    await guest.join(roomId, guest.user('eve'))
    const after = await said('after')
    await t.deactivate(bob.userId, true)
    await t.rooms.choresDone()
    const given = new Map(pdusIn(await backfill(roomId, [await say(roomId, 'last')])).map((pdu) => [idOf(pdu), pdu]))
    expect(contentOf(given, before)).toEqual({})
    expect(contentOf(given, after).body).toBe('after')
  })

  it('purged and redacted messages have no content', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    const old = await say(roomId, 'old')
    const redacted = await say(roomId, 'redacted')
    const kept = await say(roomId, 'kept')
    await t.rooms.redact({ roomId, requester: t.user('alice'), txnId: 'r', eventId: redacted, reason: undefined })
    await t.rooms.purgeHistory(roomId, redacted)
    const given = new Map(pdusIn(await backfill(roomId, [kept])).map((pdu) => [idOf(pdu), pdu]))
    expect(given.get(old)?.content).toEqual({})
    expect(given.get(redacted)?.content).toEqual({})
    expect(contentOf(given, kept).body).toBe('kept')
  })

  it('nothing, where it is not in the room, has left it, or is shut out, whether there is such a room or not', async () => {
    const roomId = await makeRoom({ preset: 'private_chat' })
    const eventId = await say(roomId, 'hidden')
    const forServers = t.rooms.forServers
    const asks = (asking: string, room: string): readonly (() => Promise<unknown>)[] => [
      () => backfill(room, [eventId], 10, asking),
      () =>
        forServers.listMissingEvents({
          server: asking,
          roomId: room,
          earliest: [],
          latest: [eventId],
          limit: 5,
          minDepth: 0,
        }),
      () => forServers.readStateAt({ server: asking, roomId: room, eventId }),
      () => forServers.readStateIdsAt({ server: asking, roomId: room, eventId }),
      () => forServers.readEventAuth({ server: asking, roomId: room, eventId }),
      () => forServers.findByTime({ server: asking, roomId: room, ts: 0, direction: 'forward' }),
    ]
    const answers = async (asking: string, room: string) =>
      Promise.all(
        asks(asking, room).map((ask) =>
          ask().then(
            () => 'given',
            (error: unknown) => error,
          ),
        ),
      )
    const none = await answers('outside.test', '!none:hearth.test')
    expect(none).toEqual(none.map(() => refusal('M_FORBIDDEN', 403)))
    expect(await answers('outside.test', roomId)).toEqual(none)
    await expect(forServers.findEvent('outside.test', eventId)).rejects.toEqual(refusal('M_NOT_FOUND', 404))

    const open = await makeRoom()
    const said = await say(open, 'hidden soon')
    await guest.join(open, guest.user('eve'))
    expect(await backfill(open, [said])).not.toEqual([])
    await setState(open, 'm.room.server_acl', { allow: ['*'], deny: ['remote*'] })
    expect(await answers(server, open)).toEqual(none)
    await expect(forServers.findEvent(server, said)).rejects.toEqual(refusal('M_NOT_FOUND', 404))
    await setState(open, 'm.room.server_acl', { allow: ['*'] })
    expect(await backfill(open, [said])).not.toEqual([])
    await guest.leave(open, guest.user('eve'))
    expect(await answers(server, open)).toEqual(none)
  })

  it('no event of another room by way of a room that it is in', async () => {
    const hidden = await makeRoom({ preset: 'private_chat' })
    const secret = await say(hidden, 'hidden')
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    expect(await backfill(roomId, [secret])).toEqual([])
    expect(await missing(roomId, { latest: [secret] })).toEqual([])
    await expect(t.rooms.forServers.readStateAt({ server, roomId, eventId: secret })).rejects.toEqual(
      refusal('M_NOT_FOUND', 404),
    )
    await expect(t.rooms.forServers.readEventAuth({ server, roomId, eventId: secret })).rejects.toEqual(
      refusal('M_NOT_FOUND', 404),
    )
    await expect(t.rooms.forServers.findEvent(server, secret)).rejects.toEqual(refusal('M_NOT_FOUND', 404))
    await expect(outsider.template(hidden, outsider.user('eve'))).rejects.toEqual(refusal('M_FORBIDDEN', 403))
  })
})

describe('a room whose members are not all known here', () => {
  it('gives events, but neither states nor templates', async () => {
    const roomId = await makeRoom()
    const { eventId: joined } = await guest.join(roomId, guest.user('eve'))
    const eventId = await say(roomId, 'hello')
    const mark = { roomId, joinEventId: joined, group: 1, from: server, servers: new Set([server]) }
    await t.store.commit(() => [put(partialRooms, partialRow(mark))])
    t = await t.reopen()
    guest = new GuestServer(t.rooms, remote)
    expect(bodies(await backfill(roomId, [eventId], 1))).toEqual(['hello'])
    const asks = [
      t.rooms.forServers.readStateAt({ server, roomId, eventId }),
      t.rooms.forServers.readStateIdsAt({ server, roomId, eventId }),
      guest.template(roomId, guest.user('eva')),
      guest.template(roomId, guest.user('eve'), 'leave'),
    ]
    for (const ask of asks) await expect(ask).rejects.toEqual(refusal('M_NOT_FOUND', 404))
  })
})

describe('server-server-api §Retrieving events', () => {
  it('writes large answers in pieces', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    for (let i = 0; i < 40; i += 1) await setState(roomId, 'org.example.large', { text: 'x'.repeat(20_000) }, String(i))
    const eventId = await say(roomId, 'last')
    const lengths: number[] = []
    for await (const piece of await t.rooms.forServers.readStateAt({ server, roomId, eventId }))
      lengths.push(piece.length)
    expect(lengths.length).toBeGreaterThan(8)
    expect(Math.max(...lengths)).toBeLessThan(150_000)
    // Who goes away in the middle harms nobody.
    for await (const _ of await t.rooms.forServers.readStateAt({ server, roomId, eventId })) break
    expect((await stateAt(roomId, eventId)).pdus.length).toBeGreaterThan(40)
  })

  it('gives the state before an event, with its auth chain, and the IDs alone', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    await setState(roomId, 'm.room.topic', { topic: 'one' })
    const second = await setState(roomId, 'm.room.topic', { topic: 'two' })
    await setState(roomId, 'm.room.topic', { topic: 'three' })
    const { pdus, auth_chain: chain } = await stateAt(roomId, second)
    const topics = pdus
      .filter(({ type }) => type === 'm.room.topic')
      .map(({ content }) => (content as JsonObject).topic)
    expect(topics).toEqual(['one'])
    const ids = JSON.parse(
      await textOf(await t.rooms.forServers.readStateIdsAt({ server, roomId, eventId: second })),
    ) as { pdu_ids: string[]; auth_chain_ids: string[] }
    expect(ids.pdu_ids.toSorted()).toEqual(pdus.map(idOf).toSorted())
    expect(ids.auth_chain_ids.toSorted()).toEqual(chain.map(idOf).toSorted())
    const known = new Set([...pdus, ...chain].map(idOf))
    for (const pdu of [...pdus, ...chain])
      for (const cited of pdu.auth_events as string[]) expect(known).toContain(cited)
    expect(await stateAt(roomId, await createOf(roomId))).toEqual({ pdus: [], auth_chain: [] })
  })

  it('gives the auth chain of an event, without the event itself', async () => {
    const roomId = await makeRoom()
    await guest.join(roomId, guest.user('eve'))
    const eventId = await say(roomId, 'hello')
    const text = await textOf(await t.rooms.forServers.readEventAuth({ server, roomId, eventId }))
    const chain = (JSON.parse(text) as { auth_chain: JsonObject[] }).auth_chain
    expect(chain.map(({ type }) => type).toSorted()).toEqual(['m.room.create', 'm.room.member', 'm.room.power_levels'])
  })

  it('finds an event in whichever room of the server it is, after a restart too', async () => {
    const rooms = []
    for (let i = 0; i < 3; i += 1) rooms.push(await makeRoom())
    const sent = []
    for (const roomId of rooms) {
      await guest.join(roomId, guest.user('eve'))
      sent.push(await say(roomId, roomId))
    }
    t = await t.reopen()
    for (const eventId of [...sent, ...sent.toReversed()]) {
      expect(idOf(JSON.parse(await t.rooms.forServers.findEvent(server, eventId)) as JsonObject)).toBe(eventId)
    }
  })

  it('finds the event nearest to a time that some user of the server may see', async () => {
    const roomId = await makeRoom()
    await setState(roomId, 'm.room.history_visibility', { history_visibility: 'joined' })
    t.clock.advance(10_000)
    await say(roomId, 'before')
    t.clock.advance(10_000)
    await guest.join(roomId, guest.user('eve'))
    t.clock.advance(10_000)
    const after = await say(roomId, 'after')
    const ts = t.clock.now()
    const find = (wish: { ts: number; direction: 'forward' | 'backward' }) =>
      t.rooms.forServers.findByTime({ server, roomId, ...wish })
    expect(await find({ ts, direction: 'backward' })).toEqual({ eventId: after, ts })
    const first = await find({ ts: 0, direction: 'forward' })
    // The oldest that it may see is what opened the room to it.
    expect(first.ts).toBeLessThan(ts)
    await expect(find({ ts: ts + 1, direction: 'forward' })).rejects.toEqual(refusal('M_NOT_FOUND', 404))
  })
})
