import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aggregates, repliers } from '../../server/rooms/relation-store.ts'
import { events, roomIndex } from '../../server/rooms/store.ts'
import { openStore, put, type Row, remove, StorageFull, type Store } from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { peersOf, type RemoteServer, remoteKey, remoteServer } from '../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../support/test-rooms.ts'

let store: Store
let t: TestRooms
let remote: RemoteServer
let roomId: string
let eve: string
let joined: string
const key = remoteKey(3)
beforeEach(async () => {
  failure = undefined
  store = failing(openMemoryStore())
  await begin()
  roomId = await t.rooms.createRoom({ creator: t.user('alice').userId, preset: 'public_chat' })
  eve = remote.user('eve')
  joined = await remote.join(roomId, eve, [await newest()])
})
afterEach(() => t[Symbol.asyncDispose]())

let failure: Error | undefined
/** The store, whose commits fail while `failure` is set. */
const failing = (kept: Store): Store => ({
  get position() {
    return kept.position
  },
  home: kept.home,
  openRoom: kept.openRoom,
  scrub: kept.scrub,
  exclusive: kept.exclusive,
  async commit(build) {
    const wrong = failure
    if (!wrong) return kept.commit(build)
    // As a full disk does: the position is used up, nothing is written.
    await kept.commit((position) => {
      build(position)
      return []
    })
    throw wrong
  },
  [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
})

async function begin(): Promise<void> {
  t = await startTestRooms({ store, peers: peersOf([{ name: 'remote.test', key }]) })
  remote = remoteServer(t.rooms, 'remote.test', key)
}

async function newest(): Promise<string> {
  using view = await t.rooms.open(roomId)
  return (await view.timeline({ limit: 1, direction: 'backward' }))[0]?.eventId ?? ''
}

let txn = 0
function say(content: Record<string, unknown>, type = 'm.room.message', name = 'alice'): Promise<string> {
  txn += 1
  const whole = { msgtype: 'm.text', ...content } as never
  return t.rooms.send({ roomId, requester: t.user(name), txnId: `t${txn}`, type, content: whole })
}
const related = (rel_type: string, event_id: string, more: Record<string, unknown> = {}) => ({
  body: rel_type,
  ...more,
  'm.relates_to': { rel_type, event_id },
})
const reply = (root: string) => say(related('m.thread', root))
const redact = (eventId: string) => {
  txn += 1
  return t.rooms.redact({ roomId, requester: t.user('alice'), txnId: `t${txn}`, eventId, reason: undefined })
}

interface Bundle {
  readonly 'm.thread'?: { readonly count: number; readonly latest_event: { readonly event_id: string } }
  readonly 'm.replace'?: { readonly event_id: string }
}
async function bundle(eventId: string): Promise<Bundle | undefined> {
  const { userId, deviceId } = t.user('alice')
  const event = JSON.parse(await t.rooms.readEvent({ roomId, userId, deviceId }, eventId))
  return event.unsigned['m.relations']
}
const reader = () => {
  const { userId, deviceId } = t.user('alice')
  return { roomId, userId, deviceId }
}
async function children(eventId: string, recurse?: boolean): Promise<readonly string[]> {
  const page = await t.rooms.readRelations(reader(), {
    eventId,
    from: undefined,
    to: undefined,
    limit: undefined,
    direction: 'backward',
    recurse,
  })
  return page.chunk.map((text) => JSON.parse(text).event_id)
}
const listed = async () =>
  (await t.rooms.readThreads(reader(), { participatedOnly: false, limit: undefined, from: undefined })).chunk.map(
    (text) => JSON.parse(text).event_id,
  )

describe('client-server-api §Aggregations of child events, with events of other servers', () => {
  it('counts what comes before its parent as soon as that is there', async () => {
    const parent = await remote.build({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: { body: 'parent' },
      on: [joined],
    })
    const child = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: related('m.thread', parent.eventId),
      on: [joined],
    })
    const edit = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: related('m.replace', parent.eventId, { 'm.new_content': { body: 'new' } }),
      on: [child.eventId],
    })
    expect(await listed()).toEqual([])
    expect((await t.rooms.receive({ roomId, json: parent.pdu as never, from: 'remote.test' })).outcome).toBe('accepted')
    expect(await bundle(parent.eventId)).toMatchObject({
      'm.thread': { count: 1, latest_event: { event_id: child.eventId } },
      'm.replace': { event_id: edit.eventId },
    })
    expect(await listed()).toEqual([parent.eventId])
    expect(await children(parent.eventId)).toEqual([edit.eventId, child.eventId])
  })

  it('takes the edit of the latest time, whenever it came', async () => {
    const content = (body: string) => related('m.replace', parent, { 'm.new_content': { body } })
    const message = { roomId, sender: eve, type: 'm.room.message' }
    const parent = (await remote.send({ ...message, content: { body: 'parent' }, on: [joined] })).eventId
    const late = await remote.send({ ...message, content: content('late'), on: [parent], ts: 1_900_000_000_000 })
    await remote.send({ ...message, content: content('early'), on: [late.eventId], ts: 1_700_000_000_000 })
    expect((await bundle(parent))?.['m.replace']?.event_id).toBe(late.eventId)
  })

  it('leaves out soft-failed and rejected events', async () => {
    const root = await say({ body: 'root' })
    const before = await newest()
    await t.rooms.ban({ roomId, by: t.user('alice').userId, target: eve })
    const content = related('m.thread', root)
    const softFailed = await remote.send({ roomId, sender: eve, type: 'm.room.message', content, on: [before] })
    const rejected = await remote.send({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content,
      on: [await newest()],
      authFrom: joined,
    })
    expect([softFailed.reception.outcome, rejected.reception.outcome]).toEqual(['softFailed', 'rejected'])
    expect(await bundle(root)).toBeUndefined()
    expect(await children(root)).toEqual([])
    expect(await listed()).toEqual([])
  })

  it('leaves out what was redacted before it came', async () => {
    const root = await say({ body: 'root' })
    const on = [await newest()]
    const child = await remote.build({
      roomId,
      sender: eve,
      type: 'm.room.message',
      content: related('m.thread', root),
      on,
    })
    const redaction = { roomId, sender: eve, type: 'm.room.redaction', content: {}, redacts: child.eventId, on }
    await remote.send(redaction)
    await t.rooms.receive({ roomId, json: child.pdu as never, from: 'remote.test' })
    expect(await bundle(root)).toBeUndefined()
    expect(await children(root)).toEqual([])
  })

  it('does not follow relations in circles, which IDs of old versions allow', async () => {
    roomId = await t.rooms.createRoom({ creator: t.user('alice').userId, preset: 'public_chat', room_version: '1' })
    joined = await remote.join(roomId, eve, [await newest()])
    const message = { roomId, sender: eve, type: 'm.room.message' }
    const { eventId } = await remote.build({
      ...message,
      content: { body: 'its ID tells the next ones' },
      on: [joined],
    })
    const number = Number(/^\$remote(\d+):/.exec(eventId)?.[1])
    const circle = await remote.build({
      ...message,
      content: related('m.thread', `$remote${number + 2}:remote.test`),
      on: [joined],
    })
    const back = await remote.build({ ...message, content: related('m.thread', circle.eventId), on: [joined] })
    for (const { pdu } of [circle, back]) await t.rooms.receive({ roomId, json: pdu as never, from: 'remote.test' })
    expect(await children(circle.eventId, true)).toContain(back.eventId)
    expect(await bundle(circle.eventId)).toBeUndefined()
    expect(await listed()).toEqual([])
  })
})

describe('what is kept of relations', () => {
  it('is right when many are sent and redacted at once', async () => {
    const root = await say({ body: 'root' })
    const sent = await Promise.all(Array.from({ length: 12 }, () => reply(root)))
    const [gone, kept] = [sent.filter((_, i) => i % 2 === 0), sent.filter((_, i) => i % 2 === 1)]
    await Promise.all([...gone.map(redact), reply(root)])
    const last = await newestReply(root)
    expect((await bundle(root))?.['m.thread']).toMatchObject({
      count: kept.length + 1,
      latest_event: { event_id: last },
    })
    await Promise.all([redact(last), ...kept.slice(1).map(redact)])
    expect((await bundle(root))?.['m.thread']).toMatchObject({ count: 1, latest_event: { event_id: kept[0] } })
    await redact(kept[0] ?? '')
    expect(await bundle(root)).toBeUndefined()
    using lease = await store.openRoom(roomId)
    expect([await lease.count(aggregates), await lease.count(repliers)]).toEqual([0, 0])
  })

  const newestReply = async (root: string): Promise<string> => (await children(root))[0] ?? ''

  it('does not count what could not be written', async () => {
    const root = await say({ body: 'root' })
    const first = await reply(root)
    failure = new StorageFull('full')
    await expect(reply(root)).rejects.toThrow('full')
    await expect(redact(first)).rejects.toThrow('full')
    failure = undefined
    expect((await bundle(root))?.['m.thread']).toMatchObject({ count: 1, latest_event: { event_id: first } })
    const second = await reply(root)
    expect((await bundle(root))?.['m.thread']).toMatchObject({ count: 2, latest_event: { event_id: second } })
  })

  it('is found in sealed segments of the timeline as well, on disk', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-relations-'))
    const limits = { segmentRows: 16, journalBytes: 16 * 1024 }
    await t[Symbol.asyncDispose]()
    try {
      store = await openStore({ dir, limits })
      await begin()
      roomId = await t.rooms.createRoom({ creator: t.user('alice').userId, preset: 'public_chat' })
      const beginTs = t.clock.now()
      const root = await say({ body: 'root' })
      const sent: string[] = []
      for (let i = 0; i < 60; i += 1) {
        const inThread = await reply(root)
        sent.push(inThread, await say(related('m.annotation', inThread)))
        t.clock.advance(1)
      }
      await redact(sent[1] ?? '')
      const edit = await say(related('m.replace', root, { 'm.new_content': { body: 'new' } }))
      const expected = [edit, ...sent.filter((_, i) => i !== 1).toReversed()].slice(0, 50)
      for (let i = 0; i < 40; i += 1) await say({ body: 'later' })
      await t[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      store = await openStore({ dir, limits })
      await begin()
      expect(await children(root, true)).toEqual(expected)
      expect(await bundle(root)).toMatchObject({ 'm.thread': { count: 60 }, 'm.replace': { event_id: edit } })
      const found = await t.rooms.findEventByTime(reader(), { ts: beginTs + 30, direction: 'forward' })
      expect(found.eventId).toBe(sent[60])
    } finally {
      await t[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
      await rm(dir, { recursive: true })
    }
  })

  it('is there after a restart', async () => {
    const root = await say({ body: 'root' })
    const first = await reply(root)
    await say(related('m.replace', root, { 'm.new_content': { body: 'new' } }))
    await say(related('m.annotation', first))
    const before = [await bundle(root), await children(root, true), await listed()]
    t = await t.reopen()
    expect([await bundle(root), await children(root, true), await listed()]).toEqual(before)
    await reply(root)
    expect((await bundle(root))?.['m.thread']?.count).toBe(2)
  })

  it('is made for rooms of before, when they are opened', async () => {
    const root = await say({ body: 'root' })
    const first = await reply(root)
    await redact(await reply(root))
    await say(related('m.annotation', first))
    await say(related('m.replace', root, { 'm.new_content': { body: 'new' } }))
    const found = async () => [
      await bundle(root),
      await children(root, true),
      await listed(),
      await t.rooms.findEventByTime(reader(), { ts: 0, direction: 'forward' }),
    ]
    const before = await found()
    await forgetIndexes()
    t = await t.reopen()
    expect(await found()).toEqual(before)
  })

  /** What a version without these indexes would have written. */
  async function forgetIndexes(): Promise<void> {
    const { indexVersion: _, ...row } = (await store.home.get(roomIndex, roomId)) as Row
    using lease = await store.openRoom(roomId)
    const old = (await lease.range(events, { index: 'order' })).map(
      ({ ts, parent, grandparent, greatGrandparent, relation, relationBySender, ...rest }) => rest,
    )
    const numbers = await lease.range(aggregates, { index: 'parent' })
    const people = await lease.range(repliers, { index: 'key' })
    await store.commit(() => [
      put(roomIndex, row as never),
      ...old.map((event) => put(events, event as never, roomId)),
      ...numbers.map(({ parent }) => remove(aggregates, parent, roomId)),
      ...people.map((person) => remove(repliers, person.key, roomId)),
    ])
  }
})
