import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { referencedIds } from '../../server/protocol/pdu.ts'
import type { EventAnnouncement, Rooms } from '../../server/rooms/index.ts'
import { openStore, StorageFull, type Store } from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { peersOf, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

const opened: TestRooms[] = []
async function start(options?: Parameters<typeof startTestRooms>[0]): Promise<TestRooms> {
  const t = await startTestRooms(options)
  opened.push(t)
  return t
}
afterEach(async () => {
  for (const t of opened.splice(0)) await t[Symbol.asyncDispose]()
})

const text = (body: string) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body } })
async function timeline(rooms: Rooms, roomId: string) {
  using view = await rooms.open(roomId)
  return view.timeline({ limit: 10_000, direction: 'forward' })
}
async function messagesOf(rooms: Rooms, roomId: string): Promise<readonly unknown[]> {
  return (await timeline(rooms, roomId))
    .filter(({ pdu }) => pdu.type === 'm.room.message')
    .map(({ pdu }) => pdu.content.body)
}

/** A store on which commits can be made to fail, or to wait. */
function troubled(store: Store) {
  let failure: Error | undefined
  let gate: Promise<void> | undefined
  const troubledStore: Store = {
    get position() {
      return store.position
    },
    home: store.home,
    openRoom: (roomId) => store.openRoom(roomId),
    scrub: (roomIds) => store.scrub(roomIds),
    exclusive: (key, work) => store.exclusive(key, work),
    async commit(build) {
      const wrong = failure
      if (wrong) {
        // As a full disk does: the position is used up, nothing is written.
        await store.commit((position) => {
          build(position)
          return []
        })
        throw wrong
      }
      await gate
      return store.commit(build)
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
  return {
    store: troubledStore,
    fail(error: Error | undefined) {
      failure = error
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return () => {
        gate = undefined
        resolve()
      }
    },
  }
}

describe('interop/server-process §Stop: a restart keeps what was confirmed', () => {
  it('keeps rooms, state, timeline, memberships, aliases, directory and transaction IDs, on disk', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-rooms-'))
    try {
      const first = await startTestRooms({ store: await openStore({ dir }) })
      const alice = first.user('alice')
      const bob = first.user('bob')
      const roomId = await first.rooms.createRoom({
        creator: alice.userId,
        preset: 'public_chat',
        visibility: 'public',
        room_alias_name: 'kept',
        topic: 'old',
      })
      const closed = await first.rooms.createRoom({ creator: alice.userId, invite: [bob.userId], name: 'Secret' })
      await first.rooms.join({ roomId, userId: bob.userId, isGuest: false })
      const ids: string[] = []
      for (let i = 0; i < 300; i += 1) {
        ids.push(await first.rooms.send({ roomId, requester: i % 2 ? alice : bob, txnId: `t${i}`, ...text(`${i}`) }))
      }
      await first.rooms.redact({ roomId, requester: alice, txnId: 'r', eventId: ids[299] ?? '', reason: undefined })
      await first.rooms.setState({
        roomId,
        requester: alice,
        type: 'm.room.topic',
        stateKey: '',
        content: { topic: 'new' },
      })
      await first.rooms.leave({ roomId, userId: bob.userId })
      const before = await timeline(first.rooms, roomId)
      const { position } = first.store
      await first[Symbol.asyncDispose]()
      await first.store[Symbol.asyncDispose]()

      const second = await startTestRooms({ store: await openStore({ dir }) })
      const { rooms } = second
      const after = await timeline(rooms, roomId)
      const shape = (events: typeof before) =>
        events.map((event) => [event.eventId, event.order, event.position, event.pdu, event.replaces, event.local])
      expect(shape(after)).toEqual(shape(before))
      using view = await rooms.open(roomId)
      expect(view.position).toBe(position)
      expect(view.state.get('m.room.topic')?.pdu.content.topic).toBe('new')
      expect(view.state.get('m.room.topic')?.replaces?.content).toMatchObject({ topic: 'old' })
      expect([...view.joined()]).toEqual([alice.userId])
      expect((await view.find(ids[299] ?? ''))?.redactedBecause?.pdu.type).toBe('m.room.redaction')
      expect(rooms.lastChange(roomId)).toBe(position)
      expect(await rooms.resolve('#kept:hearth.test')).toBe(roomId)
      expect((await rooms.listPublished({ limit: 10, since: undefined })).chunk).toMatchObject([
        { room_id: roomId, topic: 'new', num_joined_members: 1 },
      ])
      const invite = await rooms.findMembership(bob.userId, closed)
      expect(invite).toMatchObject({ membership: 'invite', sender: alice.userId, previous: null })
      expect(invite?.strippedState?.map(({ type }) => type)).toEqual([
        'm.room.create',
        'm.room.name',
        'm.room.join_rules',
        'm.room.member',
        'm.room.member',
      ])
      expect(await rooms.send({ roomId, requester: alice, txnId: 't299', ...text('again') })).toBe(ids[299])
      const next = await rooms.send({ roomId, requester: alice, txnId: 'next', ...text('next') })
      using later = await rooms.open(roomId)
      expect(referencedIds((await later.find(next))?.pdu.prev_events ?? [])).toEqual([before.at(-1)?.eventId])
      expect((await later.find(next))?.order).toBe((before.at(-1)?.order ?? 0) + 1)
      // The lease of a held view would outlive the store.
      view[Symbol.dispose]()
      later[Symbol.dispose]()
      await second[Symbol.asyncDispose]()
      await second.store[Symbol.asyncDispose]()
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  it('carries a changed profile into the rooms that a stop kept it from', async () => {
    const store = openMemoryStore()
    const t = await start({ store })
    const alice = t.user('alice')
    const rooms = await Promise.all(
      Array.from({ length: 5 }, (_, i) => t.rooms.createRoom({ creator: alice.userId, name: `${i}` })),
    )
    await t.setProfile(alice.userId, { displayname: 'Alice' })
    await t[Symbol.asyncDispose]()
    const again = await start({ store })
    await again.setProfile(alice.userId, { displayname: 'Alice' })
    await again.rooms.resume()
    await again.rooms.choresDone()
    for (const roomId of rooms) {
      using view = await again.rooms.open(roomId)
      expect(view.state.get('m.room.member', alice.userId)?.pdu.content.displayname).toBe('Alice')
    }
  })
})

describe('storage.md §Failing disk', () => {
  it('refuses what it cannot write, shows nothing of it, and goes on when there is room again', async () => {
    const trouble = troubled(openMemoryStore())
    const t = await start({ store: trouble.store })
    const alice = t.user('alice')
    const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat' })
    const heard: EventAnnouncement[] = []
    t.rooms.onEvent((announcement) => heard.push(announcement))
    const before = await timeline(t.rooms, roomId)
    trouble.fail(new StorageFull('full'))
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 5 }, (_, i) =>
        t.rooms.send({ roomId, requester: alice, txnId: `f${i}`, ...text(`lost ${i}`) }),
      ),
      t.rooms.join({ roomId, userId: t.user('bob').userId, isGuest: false }),
      t.rooms.setState({ roomId, requester: alice, type: 'm.room.name', stateKey: '', content: { name: 'lost' } }),
      t.rooms.createRoom({ creator: alice.userId, room_alias_name: 'lost' }),
    ])
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'StorageFull' } })
    expect(heard).toEqual([])
    expect(await timeline(t.rooms, roomId)).toEqual(before)
    expect(await t.rooms.findMembership(t.user('bob').userId, roomId)).toBeUndefined()
    trouble.fail(undefined)
    const sent = await t.rooms.send({ roomId, requester: alice, txnId: 'f0', ...text('kept') })
    await t.rooms.join({ roomId, userId: t.user('bob').userId, isGuest: false })
    await t.rooms.createRoom({ creator: alice.userId, room_alias_name: 'lost' })
    using view = await t.rooms.open(roomId)
    expect(referencedIds((await view.find(sent))?.pdu.prev_events ?? [])).toEqual([before.at(-1)?.eventId])
    expect(await messagesOf(t.rooms, roomId)).toEqual(['kept'])
    expect(view.state.get('m.room.name')).toBeUndefined()
    expect(view.joined().size).toBe(2)
    expect(heard.filter((announcement) => announcement.roomId === roomId)).toHaveLength(2)
  })

  it('fails all that was built on an event that could not be written', async () => {
    const trouble = troubled(openMemoryStore())
    const t = await start({ store: trouble.store })
    const alice = t.user('alice')
    const roomId = await t.rooms.createRoom({ creator: alice.userId })
    const release = trouble.hold()
    const first = t.rooms.send({ roomId, requester: alice, txnId: '1', ...text('one') })
    const second = t.rooms.send({ roomId, requester: alice, txnId: '2', ...text('two') })
    trouble.fail(new StorageFull('full'))
    release()
    const outcomes = await Promise.allSettled([first, second])
    trouble.fail(undefined)
    // Whether the first was on its way already or not: the second is never there without it.
    const kept = await messagesOf(t.rooms, roomId)
    expect(kept).toEqual(['one', 'two'].slice(0, outcomes.filter(({ status }) => status === 'fulfilled').length))
    await t.rooms.send({ roomId, requester: alice, txnId: '3', ...text('three') })
    expect(await messagesOf(t.rooms, roomId)).toEqual([...kept, 'three'])
  })
})

describe('client-server-api §Guest access', () => {
  it('lets guests into rooms that want them, and answers M_GUEST_ACCESS_FORBIDDEN elsewhere', async () => {
    const t = await start()
    const alice = t.user('alice')
    const open = await t.rooms.createRoom({
      creator: alice.userId,
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'can_join' } }],
    })
    const closed = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat' })
    const { userId } = t.user('guest')
    await t.rooms.join({ roomId: open, userId, isGuest: true })
    await expect(t.rooms.join({ roomId: closed, userId, isGuest: true })).rejects.toMatchObject({
      errcode: 'M_GUEST_ACCESS_FORBIDDEN',
      status: 403,
    })
    await t.rooms.join({ roomId: closed, userId, isGuest: false })
  })
})

describe('who shares rooms with whom', () => {
  it('is told for our users without opening rooms, and for users of other servers by opening them', async () => {
    const key = remoteKey(5)
    const peers = peersOf([{ name: 'remote.test', key }])
    const store = openMemoryStore()
    const first = await start({ store, peers })
    const [alice, bob] = [first.user('alice').userId, first.user('bob').userId]
    const roomId = await first.rooms.createRoom({ creator: alice, preset: 'public_chat' })
    await first.rooms.join({ roomId, userId: bob, isGuest: false })
    const mixed = await first.rooms.createRoom({ creator: alice, preset: 'public_chat' })
    const remote = remoteServer(first.rooms, 'remote.test', key)
    using view = await first.rooms.open(mixed)
    const [newest] = await view.timeline({ limit: 1, direction: 'backward' })
    await remote.join(mixed, remote.user('eve'), [newest?.eventId ?? ''])
    view[Symbol.dispose]()
    for (const t of [first, await start({ store, peers })]) {
      expect([...(await t.rooms.usersSharingRoomsWith(alice))].toSorted()).toEqual([bob, remote.user('eve')])
      expect([...(await t.rooms.usersSharingRoomsWith(bob))]).toEqual([alice])
      expect(await t.rooms.shareRoom(alice, bob)).toBe(true)
      expect(await t.rooms.shareRoom(remote.user('eve'), alice)).toBe(true)
      expect(await t.rooms.shareRoom(bob, remote.user('eve'))).toBe(false)
      expect([...(await t.rooms.joinedUsers(mixed))].toSorted()).toEqual([alice, remote.user('eve')])
      expect([...(await t.rooms.joinedUsers('!none:x'))]).toEqual([])
    }
  })
})

describe('many at once', () => {
  it('puts 50 messages of 10 senders into one chain, each once, and tells of them in order', async () => {
    const trouble = troubled(openMemoryStore())
    const t = await start({ store: trouble.store })
    const alice = t.user('alice')
    const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat' })
    const people = Array.from({ length: 10 }, (_, i) => t.user(`p${i}`))
    for (const { userId } of people) await t.rooms.join({ roomId, userId, isGuest: false })
    const heard: EventAnnouncement[] = []
    t.rooms.onEvent((announcement) => heard.push(announcement))
    const release = trouble.hold()
    const sending = Promise.all(
      people.flatMap((requester) =>
        Array.from({ length: 5 }, (_, i) => t.rooms.send({ roomId, requester, txnId: `t${i}`, ...text(`${i}`) })),
      ),
    )
    // All are built while the first commit is under way.
    await new Promise((resolve) => setImmediate(resolve))
    release()
    const ids = await sending
    expect(new Set(ids).size).toBe(50)
    const events = (await timeline(t.rooms, roomId)).slice(-51)
    for (const [i, event] of events.entries()) {
      if (i > 0) expect(referencedIds(event.pdu.prev_events)).toEqual([events[i - 1]?.eventId])
    }
    expect(
      events
        .slice(1)
        .map(({ eventId }) => eventId)
        .toSorted(),
    ).toEqual(ids.toSorted())
    expect(heard.map(({ event }) => event.eventId)).toEqual(events.slice(1).map(({ eventId }) => eventId))
    const positions = heard.map(({ position }) => position)
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    // Those that came while a commit was under way went into one together.
    expect(new Set(positions).size).toBe(2)
  })

  it('lets either a join or a ban come first, and ends with the ban', async () => {
    const t = await start()
    const alice = t.user('alice')
    for (let round = 0; round < 10; round += 1) {
      const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat', name: `${round}` })
      const bob = t.user('bob').userId
      const ban = () => t.rooms.ban({ roomId, by: alice.userId, target: bob })
      const join = () => t.rooms.join({ roomId, userId: bob, isGuest: false })
      const works = round % 2 ? [ban(), join()] : [join(), ban()]
      await Promise.allSettled(works)
      using view = await t.rooms.open(roomId)
      expect(view.membershipOf(bob)).toBe('ban')
      expect(await t.rooms.findMembership(bob, roomId)).toMatchObject({
        membership: 'ban',
        previous: round % 2 ? null : 'join',
      })
    }
  })

  it('closes rooms that nobody uses, and opens them again as they were, also while they are in use', async () => {
    const t = await start()
    const alice = t.user('alice')
    const rooms: string[] = []
    for (let i = 0; i < 100; i += 1) rooms.push(await t.rooms.createRoom({ creator: alice.userId, name: `${i}` }))
    using held = await t.rooms.open(rooms[0] ?? '')
    await Promise.all(
      Array.from({ length: 10 }, async (_, worker) => {
        for (let i = 0; i < 100; i += 1) {
          const roomId = rooms[(i * 37 + worker * 11) % 100] ?? ''
          await t.rooms.send({ roomId, requester: alice, txnId: `${worker} ${i}`, ...text('x') })
          using view = await t.rooms.open(roomId)
          expect(view.state.size).toBe(7)
        }
      }),
    )
    let sent = 0
    for (const roomId of rooms) sent += (await messagesOf(t.rooms, roomId)).length
    expect(sent).toBe(1_000)
    expect(await held.timeline({ limit: 100, direction: 'forward' })).toHaveLength(held.latestOrder)
  })

  it('never shows a store position whose events it does not show', async () => {
    const t = await start()
    const alice = t.user('alice')
    const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat' })
    let isSending = true
    const sending = (async () => {
      for (let i = 0; i < 100; i += 1) {
        await t.rooms.send({ roomId, requester: alice, txnId: `t${i}`, ...text(`${i}`) })
        if (i % 10 === 0) await t.rooms.join({ roomId, userId: t.user(`u${i}`).userId, isGuest: false })
      }
      isSending = false
    })()
    let looks = 0
    while (isSending) {
      const { position } = t.store
      using view = await t.rooms.open(roomId)
      expect(view.position).toBeGreaterThanOrEqual(position)
      const [newest] = await view.timeline({ limit: 1, direction: 'backward' })
      expect(newest?.position).toBe(view.position)
      expect(t.rooms.lastChange(roomId)).toBeGreaterThanOrEqual(view.position)
      looks += 1
    }
    await sending
    expect(looks).toBeGreaterThan(50)
  })

  it('holds a view still while the room goes on', async () => {
    const t = await start()
    const alice = t.user('alice')
    const roomId = await t.rooms.createRoom({ creator: alice.userId, preset: 'public_chat', topic: 'old' })
    using view = await t.rooms.open(roomId)
    const seen = [view.position, view.latestOrder, view.members, view.state.size, [...view.joined()]]
    await t.rooms.join({ roomId, userId: t.user('bob').userId, isGuest: false })
    await t.rooms.setState({ roomId, requester: alice, type: 'm.room.topic', stateKey: '', content: { topic: 'new' } })
    expect([view.position, view.latestOrder, view.members, view.state.size, [...view.joined()]]).toEqual(seen)
    expect(view.state.get('m.room.topic')?.pdu.content.topic).toBe('old')
    expect(view.membershipOf(t.user('bob').userId)).toBeUndefined()
    expect((await view.timeline({ limit: 1, direction: 'backward' }))[0]?.order).toBe(view.latestOrder)
    using later = await t.rooms.open(roomId)
    const changed = await later.stateChangedSince(view.position)
    expect(changed.map(({ pdu }) => pdu.type)).toEqual(['m.room.member', 'm.room.topic'])
    expect(await view.stateChangedSince(view.position)).toEqual([])
    expect(await later.orderAfter(view.position)).toBe(view.latestOrder + 1)
    expect(await later.orderAfter(later.position)).toBe(later.latestOrder + 1)
    expect((await later.stateAt(view.latestOrder)).get('m.room.topic')?.pdu.content.topic).toBe('old')
    expect((await later.stateAt(0)).size).toBe(0)
  })
})
