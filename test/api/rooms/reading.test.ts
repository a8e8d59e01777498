import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  act,
  allState,
  bodies,
  type ClientEvent,
  getState,
  history,
  join,
  leave,
  messages,
  newRoom,
  roomPath,
  send,
  setState,
} from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
let carol: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
})
afterAll(() => server[Symbol.asyncDispose]())

const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const badParam = { status: 400, body: { errcode: 'M_INVALID_PARAM' } }
const visibility = (history_visibility: string) => ({
  preset: 'public_chat',
  initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility } }],
})
async function say(by: Person, roomId: string, ...texts: string[]): Promise<string[]> {
  const ids = []
  for (const text of texts) ids.push(await send(by, roomId, text))
  return ids
}
const texts = (chunk: readonly ClientEvent[]) =>
  chunk.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body)
const numbers = (from: number, to: number) =>
  Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => String(from < to ? from + i : from - i))

describe('client-server-api §GET /rooms/{roomId}/messages', () => {
  it('pages backward from the end and forward from the start, each event once', async () => {
    const roomId = await newRoom(alice)
    await say(alice, roomId, ...numbers(1, 25))
    const seen: unknown[] = []
    let from: string | undefined
    let pages = 0
    do {
      const { body } = await messages(alice, roomId, { limit: 7, ...(from !== undefined && { from }) })
      if (from !== undefined) expect(body.start).toBe(from)
      expect(body.chunk.length).toBeLessThanOrEqual(7)
      seen.push(...body.chunk.map(({ event_id }) => event_id))
      from = body.end
      pages += 1
    } while (from !== undefined)
    expect(pages).toBe(5)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toHaveLength(31)
    const forward = await history(alice, roomId)
    expect(forward.map(({ event_id }) => event_id)).toEqual(seen.toReversed())
    expect(texts(forward)).toEqual(numbers(1, 25))
  })

  it('gives 10 events where no limit is named, stops at `to`, and turns around at a token', async () => {
    const roomId = await newRoom(alice)
    await say(alice, roomId, ...numbers(1, 20))
    const first = (await messages(alice, roomId)).body
    expect(texts(first.chunk)).toEqual(numbers(20, 11))
    const second = (await messages(alice, roomId, { from: first.end ?? '', limit: 5 })).body
    expect(texts(second.chunk)).toEqual(numbers(10, 6))
    const back = (await messages(alice, roomId, { from: second.end ?? '', to: first.end ?? '', dir: 'f', limit: 100 }))
      .body
    expect(texts(back.chunk)).toEqual(numbers(6, 10))
    expect(back.end).toBeUndefined()
    const bounded = (await messages(alice, roomId, { to: second.end ?? '', limit: 100 })).body
    expect(texts(bounded.chunk)).toEqual(numbers(20, 6))
  })

  it('filters by type, sender and url, and brings the senders where members are loaded lazily', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await join(carol, roomId)
    await say(alice, roomId, 'a1')
    await say(bob, roomId, 'b1')
    await send(bob, roomId, { type: 'm.sticker', content: { body: 'st', url: 'mxc://a/b' } })
    const ask = (filter: unknown) => messages(alice, roomId, { filter: JSON.stringify(filter), limit: 100 })
    expect((await ask({ types: ['m.room.mess*'] })).body.chunk.map(({ sender }) => sender)).toEqual([
      bob.userId,
      alice.userId,
    ])
    expect(texts((await ask({ senders: [bob.userId] })).body.chunk)).toEqual(['b1'])
    expect(texts((await ask({ not_senders: [bob.userId] })).body.chunk)).toEqual(['a1'])
    expect((await ask({ contains_url: true })).body.chunk.map(({ type }) => type)).toEqual(['m.sticker'])
    expect((await ask({ limit: 2 })).body.chunk).toHaveLength(2)
    const lazy = (await ask({ types: ['m.sticker'], lazy_load_members: true })).body
    expect(lazy.state?.map(({ state_key }) => state_key)).toEqual([bob.userId])
    expect((await ask({ types: ['m.sticker'] })).body.state).toBeUndefined()
    expect(await ask({ types: 'x' })).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    expect(await messages(alice, roomId, { filter: '{' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_NOT_JSON' },
    })
  })

  it('refuses strangers, tokens of others and missing directions', async () => {
    const roomId = await newRoom(alice)
    expect(await messages(bob, roomId)).toMatchObject(forbidden)
    expect(await messages(bob, '!none:hearth.test')).toMatchObject(forbidden)
    expect(await messages(alice, roomId, { from: 'nonsense' })).toMatchObject(badParam)
    expect(await messages(alice, roomId, { to: 't1x' })).toMatchObject(badParam)
    expect(await messages(alice, roomId, { dir: 'x' })).toMatchObject(badParam)
    expect(await alice.api.get(roomPath(roomId, '/messages'))).toMatchObject({ status: 400 })
  })

  it('hides messages of ignored users, but not their state', async () => {
    const dave = await server.register('dave')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(dave, roomId)
    await join(bob, roomId)
    await say(bob, roomId, 'unwanted')
    await say(alice, roomId, 'wanted')
    await dave.api.put(`/_matrix/client/v3/user/${encodeURIComponent(dave.userId)}/account_data/m.ignored_user_list`, {
      ignored_users: { [bob.userId]: {} },
    })
    const events = await history(dave, roomId)
    expect(texts(events)).toEqual(['wanted'])
    expect(events.some(({ sender, type }) => sender === bob.userId && type === 'm.room.member')).toBe(true)
  })
})

describe('client-server-api §Room History Visibility', () => {
  it('shared: who joins sees all that was sent before, who left nothing of after', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await say(alice, roomId, 'before')
    expect(await messages(bob, roomId)).toMatchObject(forbidden)
    await join(bob, roomId)
    expect(await bodies(bob, roomId)).toEqual(['before'])
    await say(alice, roomId, 'during')
    await leave(bob, roomId)
    const after = await say(alice, roomId, 'after')
    expect(await bodies(bob, roomId)).toEqual(['before', 'during'])
    expect((await messages(bob, roomId, { limit: 1 })).body.chunk[0]).toMatchObject({ state_key: bob.userId })
    expect(await bob.api.get(roomPath(roomId, `/event/${encodeURIComponent(after[0] ?? '')}`))).toMatchObject({
      status: 404,
    })
    await join(bob, roomId)
    expect(await bodies(bob, roomId)).toEqual(['before', 'during', 'after'])
  })

  it('joined: only while joined', async () => {
    const roomId = await newRoom(alice, visibility('joined'))
    await say(alice, roomId, '1')
    await act(alice, 'invite', roomId, bob)
    await say(alice, roomId, '2')
    await join(bob, roomId)
    await say(alice, roomId, '3')
    await leave(bob, roomId)
    await say(alice, roomId, '4')
    await join(bob, roomId)
    await say(alice, roomId, '5')
    expect(await bodies(bob, roomId)).toEqual(['3', '5'])
    const own = (await history(bob, roomId)).filter(({ state_key }) => state_key === bob.userId)
    expect(own.map(({ content }) => content.membership)).toEqual(['join', 'leave', 'join'])
  })

  it('invited: from the invite on', async () => {
    const roomId = await newRoom(alice, visibility('invited'))
    await say(alice, roomId, '1')
    await act(alice, 'invite', roomId, bob)
    await say(alice, roomId, '2')
    await join(bob, roomId)
    await say(alice, roomId, '3')
    expect(await bodies(bob, roomId)).toEqual(['2', '3'])
  })

  it('world_readable: everybody, whether they ever joined or not', async () => {
    const roomId = await newRoom(alice, visibility('world_readable'))
    const [id] = await say(alice, roomId, 'open')
    expect(await bodies(carol, roomId)).toEqual(['open'])
    expect(await carol.api.get(roomPath(roomId, `/event/${encodeURIComponent(id ?? '')}`))).toMatchObject({
      status: 200,
      body: { unsigned: { membership: 'leave' } },
    })
    expect((await getState(carol, roomId, 'm.room.history_visibility')).status).toBe(200)
  })

  it('goes by what held when an event was sent', async () => {
    const roomId = await newRoom(alice, visibility('joined'))
    await say(alice, roomId, 'hidden')
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'shared' })
    await say(alice, roomId, 'shown')
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'joined' })
    await say(alice, roomId, 'hidden again')
    await join(bob, roomId)
    expect(await bodies(bob, roomId)).toEqual(['shown'])
    const changes = (await history(bob, roomId)).filter(({ type }) => type === 'm.room.history_visibility')
    expect(changes.map(({ content }) => content.history_visibility)).toEqual(['joined', 'shared', 'joined'])
  })

  it('does not show what was replaced to who could not see it', async () => {
    const roomId = await newRoom(alice, visibility('joined'))
    await setState(alice, roomId, 'm.room.topic', { topic: 'secret' })
    await join(bob, roomId)
    const { body } = await setState(alice, roomId, 'm.room.topic', { topic: 'new' })
    const path = roomPath(roomId, `/event/${encodeURIComponent(body.event_id)}`)
    const forAlice = (await alice.api.get<ClientEvent>(path)).body.unsigned
    expect(forAlice.prev_content).toEqual({ topic: 'secret' })
    const forBob = (await bob.api.get<ClientEvent>(path)).body.unsigned
    expect(forBob.prev_content).toBeUndefined()
    expect(forBob.replaces_state).toBe(forAlice.replaces_state)
  })
})

describe('client-server-api §GET /rooms/{roomId}/state and /members', () => {
  it('gives members the state now, and who left the state as it was then', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', name: 'then' })
    await join(bob, roomId)
    await leave(bob, roomId)
    await setState(alice, roomId, 'm.room.name', { name: 'now' })
    await join(carol, roomId)
    expect((await getState(alice, roomId, 'm.room.name')).body).toEqual({ name: 'now' })
    expect((await getState(bob, roomId, 'm.room.name')).body).toEqual({ name: 'then' })
    const members = (await bob.api.get<{ chunk: ClientEvent[] }>(roomPath(roomId, '/members'))).body.chunk
    expect(members.map(({ state_key }) => state_key).sort()).toEqual([alice.userId, bob.userId])
    await act(alice, 'ban', roomId, bob)
    expect((await getState(bob, roomId, 'm.room.name')).body).toEqual({ name: 'then' })
  })

  it('gives one event whole, with format=event', async () => {
    const roomId = await newRoom(alice, { name: 'N' })
    const path = roomPath(roomId, '/state/m.room.name/')
    expect((await alice.api.get(path, { format: 'content' })).body).toEqual({ name: 'N' })
    expect((await alice.api.get(path, { format: 'event' })).body).toMatchObject({
      type: 'm.room.name',
      state_key: '',
      room_id: roomId,
      sender: alice.userId,
      content: { name: 'N' },
    })
    expect(await getState(alice, roomId, 'm.room.none')).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
    expect(await getState(bob, roomId, 'm.room.name')).toMatchObject(forbidden)
    expect((await allState(alice, roomId)).length).toBe(7)
  })

  it('lists members by membership, by what they are not, and as they were at a token', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    const token = (await messages(alice, roomId, { limit: 1 })).body.start
    await act(alice, 'invite', roomId, carol)
    await leave(bob, roomId)
    const list = async (query: Record<string, string>) =>
      (await alice.api.get<{ chunk: ClientEvent[] }>(roomPath(roomId, '/members'), query)).body.chunk
        .map(({ state_key, content }) => `${state_key?.slice(1, 4)} ${content.membership}`)
        .sort()
    expect(await list({})).toEqual(['ali join', 'bob leave', 'car invite'])
    expect(await list({ membership: 'join' })).toEqual(['ali join'])
    expect(await list({ not_membership: 'leave' })).toEqual(['ali join', 'car invite'])
    expect(await list({ membership: 'leave', not_membership: 'invite' })).toEqual(['ali join', 'bob leave'])
    expect(await list({ at: token })).toEqual(['ali join', 'bob join'])
    expect(await alice.api.get(roomPath(roomId, '/members'), { at: 'x' })).toMatchObject(badParam)
    expect(await alice.api.get(roomPath(roomId, '/members'), { membership: 'x' })).toMatchObject(badParam)
    const joined = roomPath(roomId, '/joined_members')
    expect((await alice.api.get(joined)).body).toEqual({ joined: { [alice.userId]: expect.anything() } })
    expect(await bob.api.get(joined)).toMatchObject(forbidden)
  })
})

describe('client-server-api §GET /rooms/{roomId}/context/{eventId}', () => {
  it('gives what came before and after, the state at the end, and tokens to go on with', async () => {
    const roomId = await newRoom(alice)
    const ids = await say(alice, roomId, ...numbers(1, 9))
    await setState(alice, roomId, 'm.room.name', { name: 'later' })
    const path = roomPath(roomId, `/context/${encodeURIComponent(ids[4] ?? '')}`)
    const { body } = await alice.api.get<{
      start: string
      end: string
      event: ClientEvent
      events_before: ClientEvent[]
      events_after: ClientEvent[]
      state: ClientEvent[]
    }>(path, { limit: 4 })
    expect(body.event.content.body).toBe('5')
    expect(texts(body.events_before)).toEqual(['4', '3'])
    expect(texts(body.events_after)).toEqual(['6', '7'])
    expect(body.state.some(({ type }) => type === 'm.room.name')).toBe(false)
    expect(texts((await messages(alice, roomId, { from: body.start, limit: 2 })).body.chunk)).toEqual(['2', '1'])
    expect(texts((await messages(alice, roomId, { from: body.end, dir: 'f', limit: 2 })).body.chunk)).toEqual([
      '8',
      '9',
    ])
    const alone = (await alice.api.get<typeof body>(path, { limit: 0 })).body
    expect([alone.events_before, alone.events_after, alone.event.content.body]).toEqual([[], [], '5'])
    expect(await alice.api.get(roomPath(roomId, '/context/%24none'))).toMatchObject({ status: 404 })
    expect(await bob.api.get(path)).toMatchObject(forbidden)
  })

  it('gives nothing around an event that the user may not see', async () => {
    const roomId = await newRoom(alice, visibility('joined'))
    const [hidden] = await say(alice, roomId, 'before bob came')
    await join(bob, roomId)
    const [seen] = await say(alice, roomId, 'with bob')
    await leave(bob, roomId)
    const [after] = await say(alice, roomId, 'after bob left')
    await setState(alice, roomId, 'm.room.name', { name: 'of later' })
    const context = (eventId: string | undefined) =>
      bob.api.get<{ events_before: ClientEvent[]; events_after: ClientEvent[] }>(
        roomPath(roomId, `/context/${encodeURIComponent(eventId ?? '')}`),
        { limit: 20 },
      )
    const { status, body } = await context(seen)
    expect(status).toBe(200)
    expect([texts(body.events_before), texts(body.events_after)]).toEqual([[], []])
    expect(body.events_after.map(({ state_key }) => state_key)).toEqual([bob.userId])
    expect(JSON.stringify(body)).not.toMatch(/before bob came|after bob left|of later/)
    for (const eventId of [hidden, after]) expect((await context(eventId)).status).toBe(404)
  })
})
