import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messages } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

const e = encodeURIComponent
let server: TestServer
let alice: Person
let bob: Person
let roomId: string

beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  roomId = await rig.createRoom(alice)
  await rig.join(bob, roomId)
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})

const path = (userId: string, id = ''): string => `/_matrix/client/v3/user/${e(userId)}/filter${id && `/${id}`}`
const define = (who: Person, filter: unknown) => who.api.post<{ filter_id: string }>(path(who.userId), filter)
const roomWith = async (filter: unknown): Promise<rig.JoinedRoom> =>
  rig.mustJoined(await rig.sync(alice, { filter: rig.filterText(filter) }), roomId)

describe('client-server-api §Filtering', () => {
  const whole = {
    event_fields: ['type', 'content.body', 'sender'],
    event_format: 'client',
    presence: { types: ['m.presence'], not_senders: ['@alice:example.com'] },
    account_data: { not_types: ['*'] },
    room: {
      include_leave: true,
      not_rooms: ['!726s6s6q:example.com'],
      timeline: { limit: 10, types: ['m.room.message'], not_senders: ['@spam:example.com'], contains_url: false },
      state: { types: ['m.room.*'], lazy_load_members: true, include_redundant_members: true },
      ephemeral: { types: ['m.receipt', 'm.typing'] },
      account_data: { rooms: ['!a:example.com'] },
    },
    'org.example.unknown': { kept: true },
  }

  it('keeps a filter and gives it back as it was', async () => {
    const { status, body } = await define(alice, whole)
    expect(status).toBe(200)
    expect(body.filter_id).toMatch(/^[^{]/)
    expect((await alice.api.get(path(alice.userId, body.filter_id))).body).toEqual(whole)
    expect((await define(alice, whole)).body.filter_id).toBe(body.filter_id)
  })

  it('keeps filters for their own user alone', async () => {
    const { filter_id: id } = (await define(alice, {})).body
    expect(await bob.api.get(path(alice.userId, id))).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await bob.api.post(path(alice.userId), {})).toMatchObject({ status: 403 })
    expect(await bob.api.get(path(bob.userId, id))).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
  })

  it.each([
    { presence: 'not an object' },
    { presence: { senders: 'not a list' } },
    { account_data: { limit: 0 } },
    { room: { timeline: 'not an object' } },
    { room: { timeline: { limit: 'ten' } } },
    { room: { timeline: { limit: 1.5 } } },
    { room: { timeline: { types: 'm.room.message' } } },
    { room: { timeline: { types: [1] } } },
    { room: { timeline: { senders: ['not a user'] } } },
    { room: { rooms: 'not a list' } },
    { room: { not_rooms: ['not a room'] } },
    { room: { ephemeral: { contains_url: 'yes' } } },
    { room: { include_leave: 1 } },
    { event_format: 'elsewhere' },
    { event_fields: 'type' },
  ])('refuses %j, stored or in a request', async (filter) => {
    expect(await define(alice, filter)).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    const inline = await rig.trySync(alice, { filter: rig.filterText(filter) })
    expect(inline).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  })

  it('refuses a filter in a request that is no JSON, or not stored', async () => {
    for (const filter of ['{', '{"room":', 'nothing']) {
      expect(await rig.trySync(alice, { filter })).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
    expect((await define(alice, { event_fields: ['x'.repeat(20_000)] })).status).toBe(413)
  })

  it('applies a stored filter by its ID', async () => {
    await rig.say(alice, roomId, 'stored')
    const { filter_id: filter } = (await define(alice, { room: { timeline: { limit: 1 } } })).body
    const room = rig.mustJoined(await rig.sync(alice, { filter }), roomId)
    expect(rig.bodies(room)).toEqual(['stored'])
    expect(room.timeline.events).toHaveLength(1)
  })

  it('gives a timeline of no events where the limit is 0, with all state and a place to page back from', async () => {
    const { next_batch: since } = await rig.sync(alice)
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'behind no timeline' })
    await rig.say(alice, roomId, 'the newest')
    const filter = rig.filterText({ room: { timeline: { limit: 0 } } })
    for (const query of [{ filter }, { filter, since }]) {
      const { timeline, state } = rig.mustJoined(await rig.sync(alice, query), roomId)
      expect(timeline).toMatchObject({ events: [], limited: true })
      expect(state?.events.find(({ type }) => type === 'm.room.topic')?.content.topic).toBe('behind no timeline')
      const page = await messages(alice, roomId, { from: timeline.prev_batch, limit: 1 })
      expect(page.body.chunk.map(({ content }) => content.body)).toEqual(['the newest'])
    }
  })

  it('applies types with wildcards, and exclusions before inclusions', async () => {
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'x' })
    await rig.say(bob, roomId, 'from bob')
    await rig.say(alice, roomId, 'from alice')
    const typesWith = async (timeline: unknown): Promise<ReadonlySet<string>> =>
      new Set((await roomWith({ room: { timeline } })).timeline.events.map(({ type }) => type))
    expect(await typesWith({ types: ['m.room.mes*'] })).toEqual(new Set(['m.room.message']))
    expect(await typesWith({ types: ['m.*.t*c', 'm.room.message'], not_types: ['*message'] })).toEqual(
      new Set(['m.room.topic']),
    )
    expect(await typesWith({ types: [] })).toEqual(new Set())
    const sendersWith = async (timeline: unknown): Promise<ReadonlySet<string>> =>
      new Set((await roomWith({ room: { timeline } })).timeline.events.map(({ sender }) => sender))
    expect(await sendersWith({ senders: [bob.userId] })).toEqual(new Set([bob.userId]))
    expect(await sendersWith({ senders: [bob.userId, alice.userId], not_senders: [bob.userId] })).toEqual(
      new Set([alice.userId]),
    )
  })

  it('applies contains_url', async () => {
    await rig.say(alice, roomId, 'a picture', { url: 'mxc://hearth.test/abc' })
    await rig.say(alice, roomId, 'no picture')
    expect(rig.bodies(await roomWith({ room: { timeline: { contains_url: true } } }))).toEqual(['a picture'])
    expect(rig.bodies(await roomWith({ room: { timeline: { contains_url: false, limit: 1 } } }))).toEqual([
      'no picture',
    ])
  })

  it('finds matching events behind many that do not match, and gives state that the timeline leaves out', async () => {
    const filter = { room: { timeline: { types: ['m.room.message'], limit: 2 } } }
    const { next_batch: since } = await rig.sync(alice, { filter: rig.filterText(filter) })
    const kept = [await rig.say(alice, roomId, 'far back')]
    const topics: string[] = []
    for (let i = 0; i < 30; i += 1) topics.push(await rig.setState(alice, roomId, 'm.room.topic', { topic: `t${i}` }))
    const room = rig.mustJoined(await rig.sync(alice, { filter: rig.filterText(filter), since }), roomId)
    expect(rig.ids(room.timeline.events)).toEqual(kept)
    expect(room.timeline.limited).toBe(false)
    expect(rig.ids(room.state?.events ?? [])).toEqual(topics.slice(-1))
  })

  it('shows only rooms that the filter names', async () => {
    const other = await rig.createRoom(alice)
    const roomsWith = async (filter: unknown): Promise<readonly string[]> =>
      Object.keys((await rig.sync(alice, { filter: rig.filterText(filter) })).rooms?.join ?? {})
    expect(await roomsWith({ room: { rooms: [other] } })).toEqual([other])
    expect(await roomsWith({ room: { not_rooms: [other] } })).toEqual([roomId])
    expect(await roomsWith({ room: { rooms: [] } })).toEqual([])
    const room = await roomWith({ room: { timeline: { not_rooms: [roomId] }, state: { rooms: [other] } } })
    expect(room.timeline.events).toEqual([])
    expect(room.state?.events).toEqual([])
  })

  it('applies the filters of state, ephemeral events and account data', async () => {
    const last = await rig.say(alice, roomId, 'read me')
    await rig.read(bob, roomId, last)
    await rig.type(bob, roomId, true)
    await rig.setAccountData(alice, 'org.example.a', { a: 1 }, roomId)
    await rig.setAccountData(alice, 'org.example.b', { b: 1 }, roomId)
    await rig.setAccountData(alice, 'org.example.c', { c: 1 })
    const room = await roomWith({
      room: {
        timeline: { limit: 1 },
        state: { types: ['m.room.create'] },
        ephemeral: { not_types: ['m.typing'] },
        account_data: { types: ['*.b'] },
      },
    })
    expect(room.state?.events.map(({ type }) => type)).toEqual(['m.room.create'])
    expect(room.ephemeral.events.map(({ type }) => type)).toEqual(['m.receipt'])
    expect(room.account_data.events.map(({ type }) => type)).toEqual(['org.example.b'])
    const body = await rig.sync(alice, { filter: rig.filterText({ account_data: { types: ['org.example.*'] } }) })
    expect(body.account_data?.events.map(({ type }) => type)).toEqual(['org.example.c'])
    await rig.type(bob, roomId, false)
  })

  it('gives only the wanted fields of events, with escaped dots', async () => {
    await rig.say(alice, roomId, 'fields', { 'm.mentions': { user_ids: ['@x:y'], room: false } })
    const room = await roomWith({
      event_fields: ['type', 'content.body', 'content.m\\.mentions.user_ids', 'unsigned.nothing'],
      room: { timeline: { limit: 1 } },
    })
    expect(room.timeline.events).toEqual([
      { type: 'm.room.message', content: { body: 'fields', 'm.mentions': { user_ids: ['@x:y'] } } },
    ])
  })

  it('gives events as they go between servers where asked for', async () => {
    const room = await roomWith({ event_format: 'federation', room: { timeline: { limit: 1 } } })
    expect(room.timeline.events[0]).toMatchObject({
      hashes: expect.anything(),
      signatures: expect.anything(),
      prev_events: expect.anything(),
    })
  })
})
