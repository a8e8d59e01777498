import { describe, expect, it } from 'vitest'
import { keptStore } from '../../support/kept-store.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

const e = encodeURIComponent
const typing = (room: rig.JoinedRoom | undefined): unknown => rig.find(room, 'm.typing')?.content.user_ids

describe('client-server-api §Typing Notifications', () => {
  it('shows who types, once for each change, and that they stopped when their time is over', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const first = await rig.sync(alice)
    await rig.type(bob, roomId, true, 10_000)
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(typing(rig.joined(second, roomId))).toEqual([bob.userId])
    clock.advance(5_000)
    await rig.type(bob, roomId, true, 10_000)
    clock.advance(9_000)
    expect((await rig.sync(alice, { since: second.next_batch })).rooms).toBeUndefined()
    clock.advance(1_000)
    const third = await rig.sync(alice, { since: second.next_batch })
    expect(typing(rig.joined(third, roomId))).toEqual([])
  })

  it('stops when the user says so, or leaves', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.type(bob, roomId, true)
    await rig.type(alice, roomId, true)
    const first = await rig.sync(alice)
    expect(typing(rig.joined(first, roomId))).toEqual([bob.userId, alice.userId])
    await rig.type(alice, roomId, false)
    await rig.leave(bob, roomId)
    expect(typing(rig.joined(await rig.sync(alice, { since: first.next_batch }), roomId))).toEqual([])
  })

  it('wakes a waiting sync', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const { next_batch: since } = await rig.sync(alice)
    const waiting = rig.sync(alice, { since, timeout: 30_000 })
    await rig.type(bob, roomId, true)
    expect(typing(rig.joined(await waiting, roomId))).toEqual([bob.userId])
  })

  it('clears what a client believes after a restart', async () => {
    const openStore = keptStore()
    let since = ''
    let token = ''
    let roomId = ''
    {
      await using server = await startTestServer({ openStore })
      const alice = await server.register('alice')
      roomId = await rig.createRoom(alice)
      await rig.type(alice, roomId, true)
      since = (await rig.sync(alice)).next_batch
      token = alice.accessToken
    }
    await using server = await startTestServer({ openStore })
    const alice = { api: server.api(token) }
    const body = await rig.sync(alice, { since })
    expect(typing(rig.joined(body, roomId))).toEqual([])
    expect((await rig.sync(alice, { since: body.next_batch })).rooms).toBeUndefined()
  })

  it('refuses those who are not in the room, to type for others, and what is no timeout', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    const path = (userId: string): string => `/_matrix/client/v3/rooms/${e(roomId)}/typing/${e(userId)}`
    const stranger = await bob.api.put(path(bob.userId), { typing: true })
    expect(stranger).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const forAnother = await alice.api.put(path(bob.userId), { typing: true })
    expect(forAnother).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    for (const body of [{}, { typing: 'yes' }, { typing: true, timeout: -1 }, { typing: true, timeout: 'soon' }]) {
      expect((await alice.api.put(path(alice.userId), body)).status).toBe(400)
    }
    expect(typing(rig.mustJoined(await rig.sync(alice), roomId))).toBeUndefined()
  })
})

describe('client-server-api §Receipts', () => {
  it('shows to others how far a user has read, batched, and only what is new', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const one = await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    await rig.read(bob, roomId, one)
    const first = await rig.sync(alice)
    expect(rig.find(rig.mustJoined(first, roomId), 'm.receipt')?.content).toEqual({
      [one]: { 'm.read': { [bob.userId]: { ts: expect.any(Number) } } },
    })
    await rig.read(bob, roomId, two)
    await rig.read(alice, roomId, two)
    const second = await rig.sync(alice, { since: first.next_batch })
    const room = rig.mustJoined(second, roomId)
    expect(room.ephemeral.events).toHaveLength(1)
    expect(rig.find(room, 'm.receipt')?.content).toEqual({
      [two]: {
        'm.read': { [bob.userId]: { ts: expect.any(Number) }, [alice.userId]: { ts: expect.any(Number) } },
      },
    })
    expect(room.timeline.events).toEqual([])
    const whole = rig.find(rig.mustJoined(await rig.sync(alice), roomId), 'm.receipt')
    expect(whole?.content).toEqual(rig.find(room, 'm.receipt')?.content)
  })

  it('never moves backwards', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const one = await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    await rig.read(alice, roomId, two)
    const { next_batch: since } = await rig.sync(alice)
    await rig.read(alice, roomId, one)
    expect((await rig.sync(alice, { since })).rooms).toBeUndefined()
  })

  it('shows private receipts to nobody else, and wakes nobody else for them', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const one = await rig.say(alice, roomId, 'one')
    const forAlice = (await rig.sync(alice)).next_batch
    const forBob = (await rig.sync(bob)).next_batch
    const waiting = rig.sync(alice, { since: forAlice, timeout: 30_000 })
    await rig.isPending(waiting, alice)
    await rig.read(bob, roomId, one, { type: 'm.read.private' })
    expect(await rig.isPending(waiting, alice)).toBe(true)
    const own = rig.mustJoined(await rig.sync(bob, { since: forBob }), roomId)
    expect(rig.find(own, 'm.receipt')?.content).toEqual({
      [one]: { 'm.read.private': { [bob.userId]: { ts: expect.any(Number) } } },
    })
    await rig.say(bob, roomId, 'two')
    expect(JSON.stringify((await waiting).rooms)).not.toContain('m.read.private')
    expect(JSON.stringify(await rig.sync(alice))).not.toContain('m.read.private')
  })

  it('keeps one receipt for each thread, and one for the room', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const root = await rig.say(alice, roomId, 'root')
    const inThread = await rig.sayIn(alice, roomId, root, 'in the thread')
    await rig.read(alice, roomId, root)
    await rig.read(alice, roomId, root, { threadId: 'main' })
    await rig.read(alice, roomId, inThread, { threadId: root })
    const room = rig.mustJoined(await rig.sync(alice), roomId)
    const contents = room.ephemeral.events.map(({ content }) => content)
    const mark = (more: object) => ({ 'm.read': { [alice.userId]: { ts: expect.any(Number), ...more } } })
    expect(contents).toEqual([
      { [root]: mark({}) },
      { [root]: mark({ thread_id: 'main' }) },
      { [inThread]: mark({ thread_id: root }) },
    ])
  })

  it('refuses a thread_id that does not fit', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const root = await rig.say(alice, roomId, 'root')
    const inThread = await rig.sayIn(alice, roomId, root, 'in the thread')
    const other = await rig.say(alice, roomId, 'other')
    const post = (type: string, eventId: string, body: unknown) =>
      alice.api.post(`/_matrix/client/v3/rooms/${e(roomId)}/receipt/${type}/${e(eventId)}`, body)
    for (const [type, eventId, threadId] of [
      ['m.read', root, ''],
      ['m.read', root, 5],
      ['m.read', root, null],
      ['m.read', other, root],
      ['m.read', inThread, 'main'],
      ['m.read', inThread, '$nothing'],
      ['m.fully_read', root, 'main'],
    ] as const) {
      const reply = await post(type, eventId, { thread_id: threadId })
      expect(reply, `${type} ${threadId}`).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
    expect((await post('m.unknown', root, {})).status).toBe(400)
    expect(rig.mustJoined(await rig.sync(alice), roomId).ephemeral.events).toEqual([])
  })

  it('refuses strangers, and events that are not in the room', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    const one = await rig.say(alice, roomId, 'one')
    const path = (eventId: string): string => `/_matrix/client/v3/rooms/${e(roomId)}/receipt/m.read/${e(eventId)}`
    expect(await bob.api.post(path(one), {})).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await alice.api.post(path('$nothing'), {})).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
  })

  it('survives a restart', async () => {
    const openStore = keptStore()
    let token = ''
    let roomId = ''
    let since = ''
    {
      await using server = await startTestServer({ openStore })
      const alice = await server.register('alice')
      roomId = await rig.createRoom(alice)
      const one = await rig.say(alice, roomId, 'one')
      since = (await rig.sync(alice)).next_batch
      await rig.read(alice, roomId, one)
      token = alice.accessToken
    }
    await using server = await startTestServer({ openStore })
    const alice = { api: server.api(token) }
    expect(rig.find(rig.mustJoined(await rig.sync(alice), roomId), 'm.receipt')).toBeDefined()
    expect(rig.find(rig.mustJoined(await rig.sync(alice, { since }), roomId), 'm.receipt')).toBeDefined()
  })
})

describe('client-server-api §Read and unread markers', () => {
  it('sets marker and receipts in one request, and shows the marker in account data', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const one = await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    const { next_batch: since } = await rig.sync(alice)
    const path = `/_matrix/client/v3/rooms/${e(roomId)}/read_markers`
    await alice.api.post(path, { 'm.fully_read': one, 'm.read': two, 'm.read.private': two })
    const room = rig.mustJoined(await rig.sync(alice, { since }), roomId)
    expect(room.account_data.events).toEqual([{ type: 'm.fully_read', content: { event_id: one } }])
    expect(Object.keys(rig.find(room, 'm.receipt')?.content[two] as object).toSorted()).toEqual([
      'm.read',
      'm.read.private',
    ])
    // As with /receipt, the private one is for its user alone.
    const bob = await server.register('bob')
    await rig.join(bob, roomId)
    const seen = rig.find(rig.mustJoined(await rig.sync(bob), roomId), 'm.receipt')
    expect(Object.keys(seen?.content[two] as object)).toEqual(['m.read'])
  })

  it('sets the marker through /receipt, too, and never backwards', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const one = await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    await rig.read(alice, roomId, two, { type: 'm.fully_read' })
    await rig.read(alice, roomId, one, { type: 'm.fully_read' })
    expect(rig.mustJoined(await rig.sync(alice), roomId).account_data.events).toEqual([
      { type: 'm.fully_read', content: { event_id: two } },
    ])
  })

  it('takes events of this room only', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const elsewhere = await rig.say(alice, await rig.createRoom(alice), 'elsewhere')
    for (const key of ['m.fully_read', 'm.read', 'm.read.private']) {
      const reply = await alice.api.post(`/_matrix/client/v3/rooms/${e(roomId)}/read_markers`, { [key]: elsewhere })
      expect(reply, key).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    }
    const room = rig.mustJoined(await rig.sync(alice), roomId)
    expect([room.account_data.events, room.ephemeral.events]).toEqual([[], []])
  })

  it('changes nothing where one of the events is unknown', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const one = await rig.say(alice, roomId, 'one')
    const reply = await alice.api.post(`/_matrix/client/v3/rooms/${e(roomId)}/read_markers`, {
      'm.fully_read': one,
      'm.read': '$nothing',
    })
    expect(reply).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    const room = rig.mustJoined(await rig.sync(alice), roomId)
    expect(room.account_data.events).toEqual([])
    expect(room.ephemeral.events).toEqual([])
  })
})
