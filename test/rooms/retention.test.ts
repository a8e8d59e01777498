import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EventRow, events, outliers, waitingEvents } from '../../server/rooms/store.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const HOUR = 3_600_000
const key = remoteKey(4)
let t: TestRooms
let remote: RemoteServer
beforeEach(async () => {
  t = await startTestRooms({ peers: peersOf([{ name: 'remote.test', key }]) })
  remote = remoteServer(t.rooms, 'remote.test', key)
})
afterEach(() => t[Symbol.asyncDispose]())

const alice = () => t.user('alice')
const newRoom = (content?: Record<string, number>) =>
  t.rooms.createRoom({
    creator: alice().userId,
    preset: 'public_chat',
    ...(content && { initial_state: [{ type: 'm.room.retention', content }] }),
  })
let txn = 0
const send = (roomId: string, content: Record<string, unknown>, type = 'm.room.message') =>
  t.rooms.send({ roomId, requester: alice(), txnId: `r${++txn}`, type, content: content as { body: string } })
const say = (roomId: string, body: string) => send(roomId, { msgtype: 'm.text', body })
const name = (roomId: string, text: string) =>
  t.rooms.setState({ roomId, requester: alice(), type: 'm.room.name', stateKey: '', content: { name: text } })

/** What alice sees of the room's messages. */
async function seen(roomId: string): Promise<readonly unknown[]> {
  using view = await t.rooms.open(roomId)
  const all = await view.timeline({ limit: 10_000, direction: 'forward' })
  return (await view.visibleTo(alice().userId, all))
    .filter(({ pdu }) => pdu.type === 'm.room.message')
    .map(({ pdu }) => pdu.content.body)
}
async function onDisk(roomId: string): Promise<readonly EventRow[]> {
  using lease = await t.store.openRoom(roomId)
  return lease.range(events, { index: 'order' })
}
async function isBeside(roomId: string, text: string): Promise<boolean> {
  using lease = await t.store.openRoom(roomId)
  const rows = [
    ...(await lease.range(outliers, { index: 'eventId' })),
    ...(await lease.range(waitingEvents, { index: 'eventId' })),
  ]
  return rows.some(({ json }) => json.includes(text))
}
const isOnDisk = async (roomId: string, text: string) => (await onDisk(roomId)).some(({ json }) => json.includes(text))
/** The hourly run has come and is over. */
async function purged(): Promise<void> {
  t.clock.advance(HOUR)
  await t.rooms.choresDone()
}
async function newest(roomId: string): Promise<string> {
  using view = await t.rooms.open(roomId)
  return (await view.timeline({ limit: 1, direction: 'backward' }))[0]?.eventId ?? ''
}

describe('MSC1763 message retention', () => {
  it('hides messages as soon as their time is over, and purges them from disk soon after', async () => {
    await t.rooms.resume()
    const roomId = await newRoom({ max_lifetime: 10 * HOUR })
    const old = await say(roomId, 'secret one')
    await name(roomId, 'a name that stays')
    t.clock.advance(5 * HOUR)
    await say(roomId, 'secret two')
    t.clock.advance(5 * HOUR)
    expect(await seen(roomId)).toEqual(['secret one', 'secret two'])
    t.clock.advance(1)
    expect(await seen(roomId)).toEqual(['secret two'])
    await expect(t.rooms.readEvent({ roomId, userId: alice().userId, deviceId: null }, old)).rejects.toMatchObject({
      status: 404,
    })
    await purged()
    expect(await isOnDisk(roomId, 'secret one')).toBe(false)
    expect(await isOnDisk(roomId, 'secret two')).toBe(true)
    using view = await t.rooms.open(roomId)
    expect(view.state.get('m.room.name')?.pdu.content).toEqual({ name: 'a name that stays' })
    expect(view.joined().has(alice().userId)).toBe(true)
  })

  it('goes on after a restart, where the room stands as it stood, and the next event builds on what is purged', async () => {
    const roomId = await newRoom({ max_lifetime: HOUR })
    for (let i = 0; i < 150; i += 1) await say(roomId, `secret ${i}`)
    const last = await newest(roomId)
    t.clock.advance(2 * HOUR)
    const before = t.clock
    t = await t.reopen()
    remote = remoteServer(t.rooms, 'remote.test', key)
    t.clock.advance(before.now() - t.clock.now())
    await t.rooms.resume()
    await t.rooms.choresDone()
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
    t = await t.reopen()
    remote = remoteServer(t.rooms, 'remote.test', key)
    t.clock.advance(before.now() - t.clock.now())
    const next = await say(roomId, 'after')
    using view = await t.rooms.open(roomId)
    expect((await view.find(next))?.pdu.prev_events).toEqual([last])
    expect(await seen(roomId)).toEqual(['after'])
    // Another server builds on a purged event, too.
    const eve = remote.user('eve')
    const joined = await remote.join(roomId, eve, [next])
    const message = { roomId, sender: eve, type: 'm.room.message', content: { msgtype: 'm.text', body: 'hi' } }
    const forked = await remote.send({ ...message, on: [last], authFrom: joined })
    expect(forked.reception.outcome).not.toBe('waiting')
  })

  it('keeps nothing that comes in too late: neither the purged event again, nor an unknown one as old', async () => {
    const roomId = await newRoom({ max_lifetime: HOUR })
    const eve = remote.user('eve')
    const joined = await remote.join(roomId, eve, [await newest(roomId)])
    const wish = {
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: { msgtype: 'm.text', body: 'secret' },
      on: [joined],
      ts: t.clock.now(),
    }
    const built = await remote.build(wish)
    const receive = () => t.rooms.receive({ roomId, json: built.pdu as never, from: 'remote.test' })
    expect((await receive()).outcome).toBe('accepted')
    await t.rooms.resume()
    t.clock.advance(HOUR + 1)
    await purged()
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
    expect((await receive()).outcome).toBe('known')
    const late = await remote.send({ ...wish, content: { ...wish.content, body: 'another secret' } })
    expect(late.reception.outcome).toBe('accepted')
    expect(await seen(roomId)).toEqual([])
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
  })

  it('purges what nobody sees, too: soft-failed and rejected messages, and those that wait for others', async () => {
    await t.rooms.resume()
    const roomId = await newRoom({ max_lifetime: 10 * HOUR })
    const eve = remote.user('eve')
    const joined = await remote.join(roomId, eve, [await newest(roomId)])
    const ts = t.clock.now()
    const wish = { roomId, sender: eve, type: 'm.room.message', on: [joined], ts }
    const body = (text: string) => ({ content: { msgtype: 'm.text', body: text } })
    const unknown = await remote.build({ ...wish, ...body('never sent') })
    const early = await remote.build({ ...wish, ...body('secret that waits'), on: [unknown.eventId] })
    const waiting = await t.rooms.receive({ roomId, json: early.pdu as never, from: 'remote.test' })
    await t.rooms.ban({ roomId, by: alice().userId, target: eve })
    const evading = await remote.send({ ...wish, ...body('secret after a ban') })
    expect(evading.reception.outcome).toBe('softFailed')
    const stranger = remote.user('stranger')
    const uninvited = await remote.send({ ...wish, sender: stranger, ...body('secret of a stranger') })
    expect(uninvited.reception.outcome).toBe('rejected')
    expect(await isOnDisk(roomId, 'after a ban')).toBe(true)
    expect(await isOnDisk(roomId, 'of a stranger')).toBe(true)
    expect(await isBeside(roomId, 'that waits')).toBe(waiting.outcome === 'waiting')
    // More than a lifetime goes by before there is anything to purge, as a server has it that runs for long.
    t.clock.advance(10 * HOUR + 1)
    await purged()
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
    expect(await isBeside(roomId, 'secret')).toBe(false)
  })

  it('purges many messages of one moment', async () => {
    const roomId = await newRoom({ max_lifetime: HOUR })
    for (let i = 0; i < 200; i += 1) await say(roomId, `secret ${i}`)
    await t.rooms.resume()
    t.clock.advance(2 * HOUR)
    await t.rooms.choresDone()
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
  })

  it('counts no purged replies, and finds no purged edits', async () => {
    const roomId = await newRoom()
    const root = await say(roomId, 'root')
    const relates = { rel_type: 'm.thread', event_id: root }
    await send(roomId, { msgtype: 'm.text', body: 'reply', 'm.relates_to': relates })
    const last = await say(roomId, 'last')
    await t.rooms.purgeHistory(roomId, last)
    await t.rooms.choresDone()
    expect(await seen(roomId)).toEqual(['last'])
    expect(await isOnDisk(roomId, 'reply')).toBe(false)
    const threads = await t.rooms.readThreads(
      { roomId, userId: alice().userId, deviceId: null },
      { participatedOnly: false, limit: 10, from: undefined },
    )
    expect(threads.chunk).toEqual([])
  })

  it('follows what administrators set for all rooms, and its limits', async () => {
    await t.rooms.resume()
    const silent = await newRoom()
    const short = await newRoom({ max_lifetime: 1 })
    const long = await newRoom({ max_lifetime: 1_000 * HOUR })
    for (const roomId of [silent, short, long]) await say(roomId, 'secret')
    t.clock.advance(2 * HOUR)
    expect(await seen(short)).toEqual([])
    await t.rooms.retention.set({ defaultMs: 5 * HOUR, shortestMs: 3 * HOUR, longestMs: 8 * HOUR })
    // The short one was hidden only, and purged after the hour; what is purged stays purged.
    const seenAt = async () => Promise.all([silent, long].map(seen))
    expect(await seenAt()).toEqual([['secret'], ['secret']])
    t.clock.advance(3 * HOUR + 1)
    expect(await seenAt()).toEqual([[], ['secret']])
    t.clock.advance(3 * HOUR)
    expect(await seenAt()).toEqual([[], []])
    await purged()
    for (const roomId of [silent, short, long]) expect(await isOnDisk(roomId, 'secret')).toBe(false)
    await say(short, 'kept for three hours')
    t.clock.advance(2 * HOUR)
    expect(await seen(short)).toEqual(['kept for three hours'])
    await expect(t.rooms.retention.set({ defaultMs: null, shortestMs: 2, longestMs: 1 })).rejects.toMatchObject({
      errcode: 'M_INVALID_PARAM',
    })
    const clock = t.clock
    t = await t.reopen()
    t.clock.advance(clock.now() - t.clock.now())
    expect(t.rooms.retention.settings).toEqual({ defaultMs: 5 * HOUR, shortestMs: 3 * HOUR, longestMs: 8 * HOUR })
  })

  it('purges by hand up to an event: hidden at once, off the disk soon, also over a restart', async () => {
    const roomId = await newRoom()
    for (let i = 0; i < 100; i += 1) await say(roomId, `secret ${i}`)
    await name(roomId, 'stays')
    const eventId = await say(roomId, 'kept')
    await t.rooms.purgeHistory(roomId, eventId)
    expect(await seen(roomId)).toEqual(['kept'])
    t = await t.reopen()
    expect(await seen(roomId)).toEqual(['kept'])
    await t.rooms.resume()
    await t.rooms.choresDone()
    expect(await isOnDisk(roomId, 'secret')).toBe(false)
    expect(await isOnDisk(roomId, 'kept')).toBe(true)
    using view = await t.rooms.open(roomId)
    expect(view.state.get('m.room.name')?.pdu.content).toEqual({ name: 'stays' })
    await expect(t.rooms.purgeHistory(roomId, '$unknown')).rejects.toMatchObject({ status: 404 })
  })

  it('refuses lifetimes that are none', async () => {
    const roomId = await newRoom()
    const wrong: readonly Record<string, number | string>[] = [
      { max_lifetime: -1 },
      { max_lifetime: '5' },
      { min_lifetime: 2, max_lifetime: 1 },
    ]
    for (const content of wrong) {
      await expect(
        t.rooms.setState({ roomId, requester: alice(), type: 'm.room.retention', stateKey: '', content }),
      ).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
    }
  })
})
