import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../support/manual-clock.ts'
import {
  type Bundle,
  bundleOf,
  children,
  edit,
  getEvent,
  ids,
  ignore,
  type Parent,
  react,
  redact,
  relate,
  reply,
  threads,
} from '../../support/relation-calls.ts'
import { join, leave, messages, newRoom, roomPath, send, setState } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const clock = manualClock()
let server: TestServer
let alice: Person
let bob: Person
let carol: Person
let roomId: string
beforeAll(async () => {
  server = await startTestServer({ clock })
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
  roomId = await newRoom(alice, { preset: 'public_chat' })
  await join(bob, roomId)
  await join(carol, roomId)
})
afterAll(() => server[Symbol.asyncDispose]())

const sync = (by: Person, query: Record<string, string> = {}) =>
  by.api.get<{
    next_batch: string
    rooms: { join: Record<string, { timeline: { limited: boolean; events: Parent[] } }> }
  }>('/_matrix/client/v3/sync', query)
const limited = (limit: number) => JSON.stringify({ room: { timeline: { limit } } })

describe('client-server-api §Aggregations of child events', () => {
  it('come with every endpoint that the specification lists', async () => {
    const root = await send(alice, roomId, 'root')
    const last = await reply(bob, roomId, root, 'in the thread')
    const e = encodeURIComponent
    const found: [string, Parent | undefined][] = []
    const pick = (chunk: readonly unknown[]) => (chunk as Parent[]).find(({ event_id }) => event_id === root)
    found.push(['event', await getEvent(alice, roomId, root)])
    found.push(['messages', pick((await messages(alice, roomId)).body.chunk)])
    const contextOf = async (eventId: string) =>
      (await alice.api.get<{ event: Parent; events_before: Parent[] }>(roomPath(roomId, `/context/${e(eventId)}`))).body
    found.push(['context event', (await contextOf(root)).event])
    found.push(['context before', pick((await contextOf(last)).events_before)])
    const timeline = (await sync(alice, { filter: limited(2) })).body.rooms.join[roomId]?.timeline
    expect(timeline?.limited).toBe(true)
    found.push(['sync', pick(timeline?.events ?? [])])
    found.push(['threads', pick((await threads(alice, roomId)).body.chunk)])
    found.push(['events', (await alice.api.get<Parent>(`/_matrix/client/v3/events/${e(root)}`)).body])
    for (const [where, event] of found) {
      const thread = event?.unsigned['m.relations']?.['m.thread']
      expect([where, thread?.latest_event.event_id, thread?.count]).toEqual([where, last, 1])
    }
    const referenced = await relate(bob, roomId, 'm.reference', root)
    const refersAgain = await relate(bob, roomId, 'm.reference', referenced)
    for (const rest of ['', '/m.reference', '/m.reference/m.room.message']) {
      const { chunk } = (await children(alice, roomId, root, rest)).body
      const child = chunk.find(({ event_id }) => event_id === referenced)
      const bundle = child?.unsigned['m.relations']
      expect([rest, bundle]).toEqual([rest, { 'm.reference': { chunk: [{ event_id: refersAgain }] } }])
    }
  })

  it('are left out of a sync that leaves nothing out, and of events without children', async () => {
    const { next_batch: since } = (await sync(alice)).body
    const root = await send(alice, roomId, 'root')
    await reply(bob, roomId, root, 'reply')
    const timeline = (await sync(alice, { since })).body.rooms.join[roomId]?.timeline
    expect(timeline?.limited).toBe(false)
    expect(timeline?.events.map(({ unsigned }) => unsigned['m.relations'])).toEqual([undefined, undefined])
    expect(await bundleOf(alice, roomId, await send(alice, roomId, 'alone'))).toBeUndefined()
  })

  it('are not made of annotations, of types of others, nor for state events', async () => {
    const event = await send(alice, roomId, 'event')
    expect((await react(bob, roomId, event, '👍')).status).toBe(200)
    await relate(bob, roomId, 'org.example.poll', event)
    expect(await bundleOf(alice, roomId, event)).toBeUndefined()
    const topic = (await setState(alice, roomId, 'm.room.topic', { topic: 'T' })).body.event_id
    await relate(bob, roomId, 'm.reference', topic)
    expect(await bundleOf(alice, roomId, topic)).toBeUndefined()
  })

  it('ignore relations that do not fit the schema', async () => {
    const event = await send(alice, roomId, 'event')
    for (const relatesTo of [
      { rel_type: 'm.reference' },
      { rel_type: 'm.reference', event_id: 5 },
      { rel_type: ['m.reference'], event_id: event },
      { rel_type: 'm.reference\u0000', event_id: event },
      { rel_type: 'm.reference', event_id: 'x'.repeat(60_000) },
      { event_id: event },
      'm.reference',
      null,
    ]) {
      const content = { msgtype: 'm.text', body: 'x', 'm.relates_to': relatesTo }
      await send(alice, roomId, { type: 'm.room.message', content })
    }
    expect(await bundleOf(alice, roomId, event)).toBeUndefined()
    expect((await children(alice, roomId, event)).body.chunk).toEqual([])
  })
})

describe('client-server-api §Server-side aggregation of m.reference', () => {
  it('lists the events that refer to one, without redacted ones and those of ignored users', async () => {
    const event = await send(alice, roomId, 'event')
    const first = await relate(alice, roomId, 'm.reference', event)
    const second = await relate(bob, roomId, 'm.reference', event)
    const third = await relate(carol, roomId, 'm.reference', event)
    const listed = async (by: Person) => (await bundleOf(by, roomId, event))?.['m.reference']?.chunk
    expect(await listed(alice)).toEqual([first, second, third].map((event_id) => ({ event_id })))
    await redact(alice, roomId, first)
    const dave = await server.register('dave')
    await join(dave, roomId)
    await ignore(dave, bob)
    expect(await listed(dave)).toEqual([{ event_id: third }])
    expect(await listed(alice)).toEqual([{ event_id: second }, { event_id: third }])
    await redact(alice, roomId, second)
    await redact(alice, roomId, third)
    expect(await bundleOf(alice, roomId, event)).toBeUndefined()
  })

  it('shows nobody what they may not read', async () => {
    const closed = await newRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    })
    await join(bob, closed)
    const event = await send(alice, closed, 'event')
    const seen = await relate(alice, closed, 'm.reference', event)
    const inThread = await reply(alice, closed, event, 'seen')
    await edit(alice, closed, event, 'seen')
    await leave(bob, closed)
    await relate(alice, closed, 'm.reference', event)
    await reply(alice, closed, event, 'hidden')
    await edit(alice, closed, event, 'hidden')
    const bundle = await bundleOf(bob, closed, event)
    expect(bundle?.['m.reference']?.chunk).toEqual([{ event_id: seen }])
    expect(bundle?.['m.thread']).toMatchObject({ latest_event: { event_id: inThread }, count: 1 })
    expect(bundle?.['m.replace']?.content.body).toBe('* seen')
    expect(JSON.stringify(bundle)).not.toContain('hidden')
    expect((await children(bob, closed, event)).body.chunk).toHaveLength(3)
    expect((await threads(bob, closed)).body.chunk[0]?.unsigned['m.relations']?.['m.thread']?.count).toBe(1)
    expect((await bundleOf(alice, closed, event))?.['m.thread']?.count).toBe(2)
  })
})

describe('client-server-api §Event replacements', () => {
  const bodyOf = async (by: Person, eventId: string): Promise<unknown> =>
    (await bundleOf(by, roomId, eventId))?.['m.replace']?.content.body

  it('brings the most recent edit whole, and leaves the original as it is', async () => {
    const event = await send(alice, roomId, 'original')
    await edit(alice, roomId, event, 'one')
    clock.advance(10)
    const last = await edit(alice, roomId, event, 'two')
    const shown = await getEvent(bob, roomId, event)
    expect(shown.content.body).toBe('original')
    expect(shown.unsigned['m.relations']?.['m.replace']).toMatchObject({
      event_id: last,
      sender: alice.userId,
      room_id: roomId,
      type: 'm.room.message',
      content: { 'm.new_content': { body: 'two' }, 'm.relates_to': { event_id: event } },
    })
  })

  it('takes the larger event ID where two are of one time', async () => {
    const event = await send(alice, roomId, 'original')
    const edits = []
    for (let i = 0; i < 6; i += 1) edits.push(await edit(alice, roomId, event, `${i}`))
    expect((await bundleOf(bob, roomId, event))?.['m.replace']?.event_id).toBe(edits.toSorted().at(-1))
  })

  it('heeds no edit that is not valid', async () => {
    const event = await send(alice, roomId, 'original')
    await edit(bob, roomId, event, 'by another')
    await relate(alice, roomId, 'm.replace', event, { 'm.new_content': { body: 'other type' } }, 'org.example.other')
    await relate(alice, roomId, 'm.replace', event, { body: 'without new content' })
    await setState(alice, roomId, 'm.room.message', {
      msgtype: 'm.text',
      body: 'state',
      'm.new_content': { body: 'state' },
      'm.relates_to': { rel_type: 'm.replace', event_id: event },
    })
    expect(await bundleOf(bob, roomId, event)).toBeUndefined()
    const good = await edit(alice, roomId, event, 'good')
    clock.advance(10)
    await relate(alice, roomId, 'm.replace', event, { body: 'without new content' })
    expect(await bodyOf(bob, event)).toBe('* good')
    clock.advance(10)
    await edit(alice, roomId, good, 'an edit of an edit')
    expect(await bundleOf(bob, roomId, good)).toBeUndefined()
    expect(await bodyOf(bob, event)).toBe('* good')
  })

  it('heeds no edit of another room', async () => {
    const event = await send(alice, roomId, 'original')
    const other = await newRoom(alice)
    const elsewhere = await edit(alice, other, event, 'from elsewhere')
    expect(await bundleOf(bob, roomId, event)).toBeUndefined()
    expect((await children(bob, roomId, event)).body.chunk).toEqual([])
    expect(await getEvent(alice, other, elsewhere)).toMatchObject({ content: { body: '* from elsewhere' } })
  })

  it('needs no cleartext content in the edit of an encrypted event', async () => {
    const cipher = { algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'x', session_id: 's' }
    const event = await send(alice, roomId, { type: 'm.room.encrypted', content: cipher })
    const last = await relate(alice, roomId, 'm.replace', event, cipher, 'm.room.encrypted')
    expect((await bundleOf(bob, roomId, event))?.['m.replace']?.event_id).toBe(last)
  })

  it('goes back an edit when the last one is redacted, and shows none with a redacted original', async () => {
    const event = await send(alice, roomId, 'original')
    const root = await reply(bob, roomId, event, 'a thread on it')
    await edit(alice, roomId, event, 'one')
    clock.advance(10)
    const last = await edit(alice, roomId, event, 'two')
    await redact(alice, roomId, last)
    expect(await bodyOf(bob, event)).toBe('* one')
    await redact(alice, roomId, event)
    const bundle = await bundleOf(bob, roomId, event)
    expect(bundle?.['m.replace']).toBeUndefined()
    expect(bundle?.['m.thread']?.latest_event.event_id).toBe(root)
    expect((await children(bob, roomId, event, '/m.replace')).body.chunk).toHaveLength(1)
  })
})

describe('client-server-api §Avoiding duplicate annotations', () => {
  const duplicate = { status: 400, body: { errcode: 'M_DUPLICATE_ANNOTATION' } }

  it('refuses the same annotation of the same user twice, until the first is redacted', async () => {
    const event = await send(alice, roomId, 'event')
    const first = await react(bob, roomId, event, '👍')
    expect(await react(bob, roomId, event, '👍')).toMatchObject(duplicate)
    expect((await react(bob, roomId, event, '👎')).status).toBe(200)
    expect((await react(carol, roomId, event, '👍')).status).toBe(200)
    expect((await react(bob, roomId, event, '👍', 'org.example.vote')).status).toBe(200)
    await redact(bob, roomId, first.body.event_id)
    expect((await react(bob, roomId, event, '👍')).status).toBe(200)
    expect(await react(bob, roomId, event, '👍')).toMatchObject(duplicate)
  })

  it('also where both are sent at once, and repeats the answer of a repeated request', async () => {
    const event = await send(alice, roomId, 'event')
    const both = await Promise.all([react(bob, roomId, event, '👍'), react(bob, roomId, event, '👍')])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400])
    const path = roomPath(roomId, '/send/m.reaction/same')
    const content = { 'm.relates_to': { rel_type: 'm.annotation', event_id: event, key: 'x'.repeat(5_000) } }
    const one = await bob.api.put(path, content)
    expect(await bob.api.put(path, content)).toMatchObject({ status: 200, body: one.body })
  })
})

describe('client-server-api §Server-side aggregation of m.thread relationships', () => {
  const threadOf = async (by: Person, eventId: string): Promise<Bundle['m.thread']> =>
    (await bundleOf(by, roomId, eventId))?.['m.thread']

  it('tells the newest event with its own aggregation, how many there are, and who took part', async () => {
    const root = await send(alice, roomId, 'root')
    await reply(bob, roomId, root, '1')
    const last = await reply(bob, roomId, root, '2')
    await edit(bob, roomId, last, 'two')
    expect(await threadOf(alice, root)).toMatchObject({
      latest_event: {
        event_id: last,
        room_id: roomId,
        content: { body: '2' },
        unsigned: { 'm.relations': { 'm.replace': { content: { body: '* two' } } } },
      },
      count: 2,
      current_user_participated: true,
    })
    expect((await threadOf(bob, root))?.current_user_participated).toBe(true)
    expect((await threadOf(carol, root))?.current_user_participated).toBe(false)
  })

  it('forgets what is redacted', async () => {
    const root = await send(alice, roomId, 'root')
    const first = await reply(bob, roomId, root, '1')
    const second = await reply(carol, roomId, root, '2')
    const third = await reply(bob, roomId, root, '3')
    await redact(bob, roomId, third)
    expect(await threadOf(carol, root)).toMatchObject({ latest_event: { event_id: second }, count: 2 })
    await redact(carol, roomId, second)
    expect(await threadOf(carol, root)).toMatchObject({
      latest_event: { event_id: first },
      count: 1,
      current_user_participated: false,
    })
    await redact(bob, roomId, first)
    expect(await bundleOf(carol, roomId, root)).toBeUndefined()
    expect(ids((await threads(carol, roomId)).body.chunk)).not.toContain(root)
  })

  it('does not count the events of ignored users', async () => {
    const erin = await server.register('erin')
    await join(erin, roomId)
    const root = await send(alice, roomId, 'root')
    const wanted = await reply(alice, roomId, root, 'wanted')
    for (let i = 0; i < 3; i += 1) await reply(bob, roomId, root, 'unwanted')
    await ignore(erin, bob)
    expect(await threadOf(erin, root)).toMatchObject({ latest_event: { event_id: wanted }, count: 1 })
    expect((await threadOf(alice, root))?.count).toBe(4)
    const onlyIgnored = await send(alice, roomId, 'root')
    await reply(bob, roomId, onlyIgnored, 'unwanted')
    expect(await threadOf(erin, onlyIgnored)).toBeUndefined()
  })

  it('cannot begin with an event that itself relates to another, but with a reply', async () => {
    const event = await send(alice, roomId, 'event')
    const inThread = await reply(alice, roomId, event, 'in a thread')
    const refused = await bob.api.put(roomPath(roomId, '/send/m.room.message/nested'), {
      msgtype: 'm.text',
      body: 'nested',
      'm.relates_to': { rel_type: 'm.thread', event_id: inThread },
    })
    expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN' } })
    const stranger = await server.register('stranger')
    const asked = await stranger.api.put(roomPath(roomId, '/send/m.room.message/nested'), {
      msgtype: 'm.text',
      body: 'nested',
      'm.relates_to': { rel_type: 'm.thread', event_id: inThread },
    })
    expect(asked).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const richReply = await send(alice, roomId, {
      type: 'm.room.message',
      content: { msgtype: 'm.text', body: 'x', 'm.relates_to': { 'm.in_reply_to': { event_id: event } } },
    })
    await reply(bob, roomId, richReply, 'fine')
    expect((await threadOf(alice, richReply))?.count).toBe(1)
  })
})
