import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import type { RoomEvent, TimelineFilter } from '../../server/rooms/index.ts'
import { type LinkedServer, type LinkedServers, startLinkedRooms } from '../support/linked-rooms.ts'

let linked: LinkedServers
let alpha: LinkedServer
let beta: LinkedServer
let roomId: string
beforeEach(async () => {
  linked = await startLinkedRooms(['alpha.test', 'beta.test'])
  const [first, second] = linked.servers
  if (!first || !second) throw new Error('two servers')
  alpha = first
  beta = second
  roomId = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
})
afterEach(() => linked[Symbol.asyncDispose]())

const ALL: TimelineFilter = { limit: undefined, lazyLoadMembers: false, passesRoom: () => true, passes: () => true }
const bob = () => ({ roomId, userId: beta.test.user('bob').userId, deviceId: null })

let txn = 0
const send = (server: LinkedServer, content: JsonObject, type = 'm.room.message') => {
  txn += 1
  const requester = server.test.user(server === alpha ? 'alice' : 'bob')
  return server.rooms.send({ roomId, requester, txnId: `h${txn}`, type, content })
}
const say = (server: LinkedServer, body: string) => send(server, { msgtype: 'm.text', body })
const set = (type: string, content: JsonObject) =>
  alpha.rooms.setState({ roomId, requester: alpha.test.user('alice'), type, stateKey: '', content })
async function joinBob(): Promise<void> {
  await beta.rooms.join({ roomId, userId: bob().userId, isGuest: false, via: ['alpha.test'] })
  await beta.rooms.choresDone()
  await linked.deliver(beta, alpha, roomId)
}
async function push(from: LinkedServer, to: LinkedServer, eventId: string): Promise<void> {
  using view = await from.rooms.open(roomId)
  const event = await view.find(eventId)
  await to.rooms.incoming.receivePdus(from.name, [JSON.parse(JSON.stringify(event?.pdu))])
  await to.rooms.choresDone()
}

interface Shown {
  readonly event_id: string
  readonly type: string
  readonly content: JsonObject
  readonly unsigned?: JsonObject
}
const parsed = (texts: readonly string[]): readonly Shown[] => texts.map((text) => JSON.parse(text) as Shown)
const bodiesOf = (events: readonly Shown[]) =>
  events.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body)

/** Pages back until there is no `end`, as a client does that scrolls up. */
async function scrollUp(
  from?: string,
  limit = 50,
): Promise<{ readonly events: readonly Shown[]; readonly pages: number }> {
  const events: Shown[] = []
  let pages = 0
  for (let at: string | undefined = from; pages < 50; pages += 1) {
    const page = await beta.rooms.readPage(bob(), {
      from: at,
      to: undefined,
      direction: 'backward',
      limit,
      filter: ALL,
    })
    events.push(...parsed(page.chunk))
    if (page.end === undefined) return { events, pages: pages + 1 }
    if (page.end === page.start && page.chunk.length === 0) throw new Error('stands still')
    at = page.end
  }
  throw new Error('does not end')
}
async function ordered(server: LinkedServer): Promise<readonly RoomEvent[]> {
  using view = await server.rooms.open(roomId)
  return view.timeline({ limit: 10_000, direction: 'forward' })
}
const ids = (events: readonly { readonly eventId: string }[]) => events.map(({ eventId }) => eventId)

describe('server-server-api §GET /backfill, for whoever scrolls back', () => {
  it('shows all history of a room that was joined over federation, to its very beginning, each event once', async () => {
    for (let i = 0; i < 260; i += 1) {
      if (i % 50 === 0) await set('m.room.topic', { topic: `topic ${i}` })
      await say(alpha, `m${i}`)
    }
    await joinBob()
    const { events } = await scrollUp()
    const expected = ids(await ordered(alpha)).toReversed()
    expect(events.map(({ event_id }) => event_id)).toEqual(expected)
    expect(events.at(-1)?.type).toBe('m.room.create')
    expect(ids(await ordered(beta))).toEqual(ids(await ordered(alpha)))
    // It is all here now: nobody is asked again, also after a restart.
    await beta.restart()
    const before = beta.asked.length
    expect((await scrollUp()).events.map(({ event_id }) => event_id)).toEqual(expected)
    expect(beta.asked.length).toBe(before)
  })

  it('is no news: nothing of it is announced, and syncs go on from where they were', async () => {
    for (let i = 0; i < 30; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    const heard: string[] = []
    beta.rooms.onEvent(({ event }) => heard.push(event.eventId))
    const since = beta.test.store.position
    await scrollUp()
    expect(heard).toEqual([])
    using view = await beta.rooms.open(roomId)
    expect(await view.orderAfter(since)).toBe(view.latestOrder + 1)
    expect(await view.stateChangedSince(since)).toEqual([])
    const own = await say(beta, 'now')
    using after = await beta.rooms.open(roomId)
    expect(await after.orderAfter(since)).toBe((await after.find(own))?.order)
  })

  it('shows nothing from a time when the history was for members only', async () => {
    await say(alpha, 'open')
    await set('m.room.history_visibility', { history_visibility: 'joined' })
    await say(alpha, 'closed')
    await set('m.room.history_visibility', { history_visibility: 'shared' })
    await say(alpha, 'open again')
    await joinBob()
    expect(bodiesOf((await scrollUp()).events)).toEqual(['open again', 'open'])
  })

  it('keeps to redactions, also where what they are aimed at comes later', async () => {
    const gone = await say(alpha, 'regretted')
    for (let i = 0; i < 120; i += 1) await say(alpha, `m${i}`)
    await alpha.rooms.redact({
      roomId,
      requester: alpha.test.user('alice'),
      txnId: 'redact',
      eventId: gone,
      reason: undefined,
    })
    await joinBob()
    const { events } = await scrollUp()
    const redacted = events.find(({ event_id }) => event_id === gone)
    expect(redacted?.content).toEqual({})
    expect(redacted?.unsigned?.redacted_because).toBeDefined()
    // The redaction itself is shown once what it is aimed at is there.
    const again = (await scrollUp()).events.filter(({ type }) => type === 'm.room.redaction')
    expect(again).toHaveLength(1)
  })

  it('counts and finds what relates to an event, wherever both come from', async () => {
    const root = await say(alpha, 'root')
    const reply = { msgtype: 'm.text', body: 'reply', 'm.relates_to': { rel_type: 'm.thread', event_id: root } }
    await send(alpha, reply)
    for (let i = 0; i < 120; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    const late = await send(beta, { ...reply, body: 'late reply' })
    await scrollUp()
    const text = await beta.rooms.readEvent(bob(), root)
    const relations = (JSON.parse(text) as Shown).unsigned?.['m.relations'] as JsonObject
    const thread = relations['m.thread'] as JsonObject
    expect(thread.count).toBe(2)
    expect((thread.latest_event as unknown as Shown).event_id).toBe(late)
  })

  it('brings back nothing that was purged or has expired', async () => {
    await set('m.room.retention', { max_lifetime: 3_600_000 })
    for (let i = 0; i < 5; i += 1) await say(alpha, `old ${i}`)
    beta.test.clock.advance(7_200_000)
    await say(alpha, 'new')
    await joinBob()
    expect(bodiesOf((await scrollUp()).events)).toEqual(['new'])
    using lease = await beta.test.store.openRoom(roomId)
    const { events } = await import('../../server/rooms/store.ts')
    const rows = await lease.range(events, { index: 'order' })
    expect(rows.some(({ json }) => json.includes('old 1'))).toBe(false)
  })

  it('answers with what there is while nobody can be reached, and with the rest once somebody can', async () => {
    for (let i = 0; i < 20; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    await say(beta, 'mine')
    linked.cut(alpha, beta)
    const page = await beta.rooms.readPage(bob(), {
      from: undefined,
      to: undefined,
      direction: 'backward',
      limit: 10,
      filter: ALL,
    })
    expect(bodiesOf(parsed(page.chunk))).toEqual(['mine'])
    expect(page.end).toBeDefined()
    linked.heal(alpha, beta)
    beta.test.clock.advance(60_000)
    expect(bodiesOf((await scrollUp(page.end)).events)).toHaveLength(20)
  })

  it('fills a gap of an absence in its place when it is scrolled over', async () => {
    await joinBob()
    await push(alpha, beta, await say(alpha, 'before'))
    for (let i = 0; i < 400; i += 1) await say(alpha, `missed ${i}`)
    await push(alpha, beta, await say(alpha, 'after'))
    using view = await beta.rooms.open(roomId)
    expect(view.gapBelow(view.latestOrder)).toBeGreaterThan(1_000)
    const { events } = await scrollUp()
    const expected = ids(await ordered(alpha)).toReversed()
    expect(events.map(({ event_id }) => event_id)).toEqual(expected)
    using after = await beta.rooms.open(roomId)
    expect(after.gapBelow(after.latestOrder)).toBeUndefined()
    await beta.restart()
    expect(ids(await ordered(beta))).toEqual(expected.toReversed())
  })

  it('takes what was said while we came in for what it is: news, with the history before both', async () => {
    await linked[Symbol.asyncDispose]()
    linked = await startLinkedRooms(['alpha.test', 'beta.test', 'gamma.test'])
    const [first, second, gamma] = linked.servers
    if (!first || !second || !gamma) throw new Error('three servers')
    alpha = first
    beta = second
    roomId = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
    for (let i = 0; i < 30; i += 1) await say(alpha, `m${i}`)
    const carol = gamma.test.user('carol')
    await gamma.rooms.join({ roomId, userId: carol.userId, isGuest: false, via: ['alpha.test'] })
    await gamma.rooms.choresDone()
    await linked.deliver(gamma, alpha, roomId)
    const last = await say(alpha, 'last')
    await push(alpha, gamma, last)
    await joinBob()
    const meanwhile = await gamma.rooms.send({
      roomId,
      requester: carol,
      txnId: 'meanwhile',
      type: 'm.room.message',
      content: { msgtype: 'm.text', body: 'meanwhile' },
    })
    // The other server does not know yet that we are in the room, and tells us nothing.
    await push(gamma, beta, meanwhile)
    await linked.deliver(alpha, gamma, roomId)
    beta.test.clock.advance(5_000)
    await beta.rooms.choresDone()
    using view = await beta.rooms.open(roomId)
    expect(view.latestOrder).toBe(2)
    const { events } = await scrollUp()
    expect(bodiesOf(events)).toEqual(['meanwhile', 'last', ...Array.from({ length: 30 }, (_, i) => `m${29 - i}`)])
    expect(events[1]?.type).toBe('m.room.member')
  })

  it('fills it for who reads forward, too', async () => {
    await joinBob()
    const before = await say(alpha, 'before')
    await push(alpha, beta, before)
    for (let i = 0; i < 300; i += 1) await say(alpha, `missed ${i}`)
    await push(alpha, beta, await say(alpha, 'after'))
    using view = await beta.rooms.open(roomId)
    const from = `t${(await view.find(before))?.order}`
    const page = await beta.rooms.readPage(bob(), { from, to: undefined, direction: 'forward', limit: 40, filter: ALL })
    expect(bodiesOf(parsed(page.chunk))).toEqual(['before', ...Array.from({ length: 39 }, (_, i) => `missed ${i}`)])
  })

  it('drops an event without a good signature, and shows what is before and after it', async () => {
    for (let i = 0; i < 5; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    const unsign = (event: Json): Json => {
      const { content, ...rest } = event as unknown as Pdu
      return (content.body === 'm2' ? { ...rest, content, signatures: {} } : event) as unknown as Json
    }
    beta.intercept({ backfill: (events) => events.map(unsign), event: unsign })
    const { events } = await scrollUp()
    expect(bodiesOf(events)).toEqual(['m4', 'm3', 'm1', 'm0'])
    expect(events.at(-1)?.type).toBe('m.room.create')
  })
})

describe('client-server-api §GET /context, /event, /timestamp_to_event, in history that others have', () => {
  it('finds an event of long ago by its ID, shows what came before it, and later fills what came after', async () => {
    const old: string[] = []
    for (let i = 0; i < 300; i += 1) {
      alpha.test.clock.advance(1_000)
      old.push(await say(alpha, `m${i}`))
    }
    await joinBob()
    const target = old[40] ?? ''
    const context = await beta.rooms.readContext(bob(), { eventId: target, limit: 10, filter: ALL })
    expect((JSON.parse(context.event) as Shown).content.body).toBe('m40')
    expect(bodiesOf(parsed(context.eventsBefore))).toEqual(['m39', 'm38', 'm37', 'm36', 'm35'])
    const { events } = await scrollUp()
    expect(events.map(({ event_id }) => event_id)).toEqual(ids(await ordered(alpha)).toReversed())
  })

  it('reads a single event that only others have', async () => {
    const first = await say(alpha, 'first')
    for (let i = 0; i < 20; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    expect((JSON.parse(await beta.rooms.readEvent(bob(), first)) as Shown).content.body).toBe('first')
    await expect(beta.rooms.readEvent(bob(), `$${'x'.repeat(43)}`)).rejects.toMatchObject({ status: 404 })
  })

  it('leaves an event that is still on its way here to come as news', async () => {
    for (let i = 0; i < 5; i += 1) await say(alpha, `m${i}`)
    await joinBob()
    const coming = await say(alpha, 'coming')
    await expect(beta.rooms.readEvent(bob(), coming)).rejects.toMatchObject({ status: 404 })
    const heard: string[] = []
    beta.rooms.onEvent(({ event }) => heard.push(event.eventId))
    await push(alpha, beta, coming)
    expect(heard).toEqual([coming])
    using view = await beta.rooms.open(roomId)
    expect((await view.find(coming))?.order).toBe(view.latestOrder)
  })

  it('finds the event of a time before it came into the room', async () => {
    const sent: { id: string; ts: number }[] = []
    for (let i = 0; i < 150; i += 1) {
      alpha.test.clock.advance(60_000)
      sent.push({ id: await say(alpha, `m${i}`), ts: alpha.test.clock.now() })
    }
    alpha.test.clock.advance(60_000)
    await joinBob()
    const { id, ts = 0 } = sent[7] ?? {}
    const reader = bob()
    expect(await beta.rooms.findEventByTime(reader, { ts: ts + 1, direction: 'backward' })).toEqual({ eventId: id, ts })
    expect(await beta.rooms.findEventByTime(reader, { ts: ts - 1, direction: 'forward' })).toEqual({ eventId: id, ts })
    const { events } = await scrollUp()
    expect(events.map(({ event_id }) => event_id)).toEqual(ids(await ordered(alpha)).toReversed())
  })

  it('keeps from outsiders what it would have to fetch', async () => {
    const first = await say(alpha, 'first')
    await joinBob()
    const before = beta.asked.length
    const eve = { roomId, userId: beta.test.user('eve').userId, deviceId: null }
    await expect(beta.rooms.readEvent(eve, first)).rejects.toMatchObject({ status: 404 })
    expect(beta.asked.length).toBe(before)
  })
})
