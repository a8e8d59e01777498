import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  act,
  allState,
  type ClientEvent,
  getState,
  history,
  join,
  messages,
  newRoom,
  roomPath,
  send,
  setState,
} from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let alicePhone: Person
let bob: Person
let carol: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  alicePhone = await server.login('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
})
afterAll(() => server[Symbol.asyncDispose]())

const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const badJson = { status: 400, body: { errcode: 'M_BAD_JSON' } }
const put = (by: Person, roomId: string, txn: string, content: unknown, type = 'm.room.message') =>
  by.api.put<{ event_id: string; errcode: string }>(roomPath(roomId, `/send/${type}/${txn}`), content)
const event = async (by: Person, roomId: string, eventId: string) =>
  by.api.get<ClientEvent & { errcode: string }>(roomPath(roomId, `/event/${encodeURIComponent(eventId)}`))
const redact = (by: Person, roomId: string, eventId: string, txn: string, body: unknown = {}) =>
  by.api.put<{ event_id: string; errcode: string }>(
    roomPath(roomId, `/redact/${encodeURIComponent(eventId)}/${txn}`),
    body,
  )
const VERSIONS = Array.from({ length: 12 }, (_, i) => String(i + 1))

describe('client-server-api §PUT /rooms/{roomId}/send/{eventType}/{txnId}', () => {
  it('answers those outside of a room the same whether there is such a room or not', async () => {
    for (const roomId of [await newRoom(alice), '!none:hearth.test', `!${'a'.repeat(43)}`]) {
      expect(await put(bob, roomId, 'a', { msgtype: 'm.text', body: 'hi' })).toMatchObject(forbidden)
      expect(await redact(bob, roomId, '$none', 'a')).toMatchObject(forbidden)
      expect(await setState(bob, roomId, 'm.room.topic', { topic: 'x' })).toMatchObject(forbidden)
      expect(await setState(bob, roomId, 'm.room.member', { membership: 'invite' }, carol.userId)).toMatchObject(
        forbidden,
      )
      for (const action of ['invite', 'kick', 'ban', 'unban'] as const) {
        expect(await act(bob, action, roomId, carol)).toMatchObject(forbidden)
      }
    }
  })

  it.each(VERSIONS)('sends events that all members see, and nobody else (version %s)', async (version) => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_version: version })
    await join(bob, roomId)
    const content = { msgtype: 'm.text', body: 'hi', 'm.mentions': {}, $odd: { 'a.b': '\u2028' }, 2: 'two', n: null }
    const { body } = await put(alice, roomId, 'a', content)
    const seen = await event(bob, roomId, body.event_id)
    expect(seen.body).toMatchObject({
      type: 'm.room.message',
      sender: alice.userId,
      room_id: roomId,
      event_id: body.event_id,
      unsigned: { membership: 'join' },
    })
    expect(seen.body.content).toEqual(content)
    expect(seen.body.unsigned.age).toBeGreaterThanOrEqual(0)
    expect(await event(carol, roomId, body.event_id)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await put(carol, roomId, 'a', content)).toMatchObject(forbidden)
  })

  it('gives the same event for the same transaction ID of the same device and path', async () => {
    const roomId = await newRoom(alice)
    const other = await newRoom(alice)
    const text = { msgtype: 'm.text', body: 'once' }
    const first = (await put(alice, roomId, 'same', text)).body.event_id
    expect((await put(alice, roomId, 'same', { msgtype: 'm.text', body: 'twice' })).body.event_id).toBe(first)
    expect((await put(alicePhone, roomId, 'same', text)).body.event_id).not.toBe(first)
    expect((await put(alice, roomId, 'same', text, 'm.sticker')).body.event_id).not.toBe(first)
    expect((await put(alice, other, 'same', text)).body.event_id).not.toBe(first)
    expect((await event(alice, roomId, first)).body.content.body).toBe('once')
  })

  it('knows a transaction ID again after a refresh, and after a login into the same device, but not in a new one', async () => {
    const identifier = { type: 'm.id.user', user: 'alice' }
    const login = { type: 'm.login.password', identifier, password: 'password of alice', refresh_token: true }
    const sessionOf = async (path: string, body: object) => {
      const reply = await server.api().post<Record<'access_token' | 'refresh_token' | 'device_id', string>>(path, body)
      return { ...reply.body, by: { ...alice, api: server.api(reply.body.access_token) } }
    }
    const roomId = await newRoom(alice)
    const text = { msgtype: 'm.text', body: 'once' }
    const first = await sessionOf('/_matrix/client/v3/login', login)
    const { event_id } = (await put(first.by, roomId, 'kept', text)).body
    const refreshed = await sessionOf('/_matrix/client/v3/refresh', { refresh_token: first.refresh_token })
    expect((await put(refreshed.by, roomId, 'kept', text)).body.event_id).toBe(event_id)
    const again = await sessionOf('/_matrix/client/v3/login', { ...login, device_id: first.device_id })
    expect((await put(again.by, roomId, 'kept', text)).body.event_id).toBe(event_id)
    const other = await sessionOf('/_matrix/client/v3/login', login)
    expect((await put(other.by, roomId, 'kept', text)).body.event_id).not.toBe(event_id)
  })

  it('makes one event of requests with one transaction ID that come at the same time', async () => {
    const roomId = await newRoom(alice)
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => put(alice, roomId, 'parallel', { msgtype: 'm.text', body: 'x' })),
    )
    expect(new Set(replies.map(({ body }) => body.event_id)).size).toBe(1)
    expect((await history(alice, roomId)).filter(({ type }) => type === 'm.room.message')).toHaveLength(1)
  })

  it('shows the transaction ID to the device that sent, and to no other', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    const { event_id: id } = (await put(alice, roomId, 'mine', { msgtype: 'm.text', body: 'x' })).body
    expect((await event(alice, roomId, id)).body.unsigned.transaction_id).toBe('mine')
    for (const other of [alicePhone, bob]) {
      expect((await event(other, roomId, id)).body.unsigned.transaction_id).toBeUndefined()
    }
  })

  it('refuses content that has no canonical form, is too large or no object, and changes nothing', async () => {
    const roomId = await newRoom(alice)
    const before = await history(alice, roomId)
    for (const content of ['{"a":1.5}', '{"a":9007199254740993}', '[]', '"x"']) {
      const reply = await alice.api.fetch(roomPath(roomId, '/send/m.room.message/bad'), {
        method: 'PUT',
        body: content,
      })
      expect([reply.status, ((await reply.json()) as { errcode: string }).errcode]).toEqual([400, 'M_BAD_JSON'])
    }
    const tooLarge = { status: 413, body: { errcode: 'M_TOO_LARGE' } }
    const big = { msgtype: 'm.text', body: 'x'.repeat(66_000) }
    expect(await put(alice, roomId, 'big', big)).toMatchObject(tooLarge)
    expect(await put(alice, roomId, 'long', {}, 't'.repeat(256))).toMatchObject(tooLarge)
    expect(await setState(alice, roomId, 'org.example.t', {}, 'k'.repeat(256))).toMatchObject(tooLarge)
    expect(await history(alice, roomId)).toEqual(before.map((e) => ({ ...e, unsigned: expect.anything() })))
  })

  it('refuses messages without a msgtype or a body that is text, also as state', async () => {
    const roomId = await newRoom(alice)
    const before = await history(alice, roomId)
    for (const content of [
      {},
      { body: 'x' },
      { msgtype: 'm.text' },
      { msgtype: 'm.text', body: 5 },
      { msgtype: null, body: 'x' },
      { msgtype: 'm.text', body: ['x'] },
    ]) {
      expect(await put(alice, roomId, 'bare', content)).toMatchObject(badJson)
      expect(await setState(alice, roomId, 'm.room.message', content)).toMatchObject(badJson)
    }
    expect(await history(alice, roomId)).toHaveLength(before.length)
    expect(await put(alice, roomId, 'bare', { msgtype: 'org.example.own', body: '' })).toMatchObject({ status: 200 })
    expect(await put(alice, roomId, 'other', {}, 'org.example.other')).toMatchObject({ status: 200 })
  })

  it('takes an event of nearly 64 KiB', async () => {
    const roomId = await newRoom(alice)
    const content = { msgtype: 'm.text', body: 'x'.repeat(64_000) }
    expect(await put(alice, roomId, 'big', content)).toMatchObject({ status: 200 })
  })

  it('asks for the power level that the room wants', async () => {
    const roomId = await newRoom(alice, {
      preset: 'public_chat',
      power_level_content_override: { events: { 'org.example.special': 30 } },
    })
    await join(bob, roomId)
    expect(await put(bob, roomId, 'a', {}, 'org.example.special')).toMatchObject(forbidden)
    expect(await put(bob, roomId, 'b', {}, 'org.example.other')).toMatchObject({ status: 200 })
    expect(await setState(bob, roomId, 'm.room.topic', { topic: 'x' })).toMatchObject(forbidden)
  })
})

describe('client-server-api §PUT /rooms/{roomId}/state/{eventType}/{stateKey}', () => {
  it('sets state, with or without the trailing slash', async () => {
    const roomId = await newRoom(alice)
    for (const path of ['/state/m.room.topic', '/state/m.room.topic/']) {
      expect(await alice.api.put(roomPath(roomId, path), { topic: path })).toMatchObject({ status: 200 })
      expect((await alice.api.get(roomPath(roomId, path))).body).toEqual({ topic: path })
    }
  })

  it('gives the event that there is when the same is set again, and tells what it replaced', async () => {
    const roomId = await newRoom(alice)
    const first = (await setState(alice, roomId, 'm.room.topic', { topic: 'a' })).body.event_id
    expect((await setState(alice, roomId, 'm.room.topic', { topic: 'a' })).body.event_id).toBe(first)
    const second = (await setState(alice, roomId, 'm.room.topic', { topic: 'b' })).body.event_id
    expect((await event(alice, roomId, second)).body.unsigned).toMatchObject({
      replaces_state: first,
      prev_content: { topic: 'a' },
    })
  })

  it.each([
    ['m.room.power_levels', { users: { '@alice:hearth.test': '100' } }],
    ['m.room.power_levels', { ban: 1.5 }],
    ['m.room.power_levels', { users: { alice: 1 } }],
    ['m.room.history_visibility', { history_visibility: 'private' }],
    ['m.room.guest_access', {}],
    ['m.room.join_rules', {}],
    ['m.room.join_rules', { join_rule: 'restricted', allow: 'all' }],
    ['m.room.encryption', {}],
    ['m.room.name', { name: 5 }],
    ['m.room.server_acl', { allow: 'x' }],
    ['m.room.server_acl', { allow: [] }],
    ['m.room.server_acl', { allow: ['*'], deny: ['hearth.*'] }],
  ])('refuses %s of %j', async (type, content) => {
    const roomId = await newRoom(alice, { room_version: '9' })
    const before = await allState(alice, roomId)
    expect(await setState(alice, roomId, type, content)).toMatchObject(badJson)
    expect(await allState(alice, roomId)).toHaveLength(before.length)
  })

  it('lets nobody make the room again, nor set what is another user’s', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    expect(await setState(alice, roomId, 'm.room.create', {})).toMatchObject(forbidden)
    expect(await setState(alice, roomId, 'org.example.own', {}, bob.userId)).toMatchObject(forbidden)
    expect(await setState(alice, roomId, 'org.example.own', {}, alice.userId)).toMatchObject({ status: 200 })
  })

  it('checks aliases that are new in m.room.canonical_alias, and only those', async () => {
    const roomId = await newRoom(alice, { room_alias_name: 'first' })
    const other = await newRoom(alice, { room_alias_name: 'other' })
    const set = (content: unknown, room = roomId) => setState(alice, room, 'm.room.canonical_alias', content)
    expect(await set({ alias: 'nonsense' })).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(await set({ alias: '#first:hearth.test', alt_aliases: ['#none:hearth.test'] })).toMatchObject({
      status: 400,
      body: { errcode: 'M_BAD_ALIAS' },
    })
    expect(await set({ alias: '#other:hearth.test' })).toMatchObject({ status: 400, body: { errcode: 'M_BAD_ALIAS' } })
    expect(await set({ alt_aliases: 'x' })).toMatchObject(badJson)
    expect(await set({ alias: null, alt_aliases: ['#first:hearth.test'] })).toMatchObject({ status: 200 })
    const path = `/_matrix/client/v3/directory/room/${encodeURIComponent('#first:hearth.test')}`
    expect(await alice.api.delete(path)).toMatchObject({ status: 200 })
    expect((await getState(alice, roomId, 'm.room.canonical_alias')).body).toEqual({ alias: null, alt_aliases: [] })
    expect(await set({}, other)).toMatchObject({ status: 200 })
  })
})

describe('client-server-api §Redactions', () => {
  it.each(VERSIONS)('takes the content away for good, and says by what (version %s)', async (version) => {
    const roomId = await newRoom(alice, { preset: 'public_chat', room_version: version })
    await join(bob, roomId)
    const target = await send(bob, roomId, 'secret words')
    const reply = await redact(bob, roomId, target, 'r', { reason: 'typo' })
    expect(reply.status).toBe(200)
    expect((await redact(bob, roomId, target, 'r', { reason: 'typo' })).body).toEqual(reply.body)
    const { body } = await event(alice, roomId, target)
    expect(body.content).toEqual({})
    expect(body.unsigned.redacted_because).toMatchObject({
      type: 'm.room.redaction',
      event_id: reply.body.event_id,
      redacts: target,
      content: { reason: 'typo', redacts: target },
    })
    const redaction = await event(alice, roomId, reply.body.event_id)
    expect(redaction.body).toMatchObject({ redacts: target, content: { redacts: target, reason: 'typo' } })
    expect(JSON.stringify(await history(alice, roomId))).not.toContain('secret words')
  })

  it('is open to moderators for the events of others, and to nobody else', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await join(carol, roomId)
    const target = await send(bob, roomId, 'x')
    expect(await redact(carol, roomId, target, '1')).toMatchObject(forbidden)
    expect(await redact(alice, roomId, target, '2')).toMatchObject({ status: 200 })
    expect(await redact(alice, roomId, '$none', '3')).toMatchObject({ status: 404 })
    const outsider = await newRoom(bob)
    const inside = await send(bob, outsider, 'y')
    expect(await redact(carol, outsider, inside, '4')).toMatchObject(forbidden)
    expect(await redact(carol, outsider, '$none', '5')).toMatchObject(forbidden)
  })

  it.each(VERSIONS)('may be sent as an event as well (version %s)', async (version) => {
    const roomId = await newRoom(alice, { room_version: version })
    const target = await send(alice, roomId, 'x')
    const reply = await put(alice, roomId, `r${version}`, { redacts: target, reason: 'so' }, 'm.room.redaction')
    expect(reply.status).toBe(200)
    // Before version 11 servers look for it at the top: there it has to be for the redaction to take effect.
    expect((await event(alice, roomId, target)).body).toMatchObject({
      content: {},
      unsigned: { redacted_because: { content: { reason: 'so' }, redacts: target } },
    })
    const filter = JSON.stringify({ event_format: 'federation', room: { timeline: { types: ['m.room.redaction'] } } })
    const { body: synced } = await alice.api.get<{
      rooms: { join: Record<string, { timeline: { events: { redacts?: string; content: { redacts?: string } }[] } }> }
    }>('/_matrix/client/v3/sync', { filter })
    const asSent = synced.rooms.join[roomId]?.timeline.events[0]
    expect([asSent?.redacts, asSent?.content.redacts]).toEqual(
      Number(version) < 11 ? [target, undefined] : [undefined, target],
    )
    expect(await put(alice, roomId, 'none', {}, 'm.room.redaction')).toMatchObject(badJson)
  })

  it('takes state away too, from the state, from what replaced it, and after a restart', async () => {
    const roomId = await newRoom(alice, { room_version: '11' })
    const old = (await setState(alice, roomId, 'm.room.topic', { topic: 'old secret' })).body.event_id
    const now = (await setState(alice, roomId, 'm.room.topic', { topic: 'new' })).body.event_id
    await redact(alice, roomId, old, 's1')
    expect(JSON.stringify((await event(alice, roomId, now)).body)).not.toContain('old secret')
    await redact(alice, roomId, now, 's2')
    expect((await getState(alice, roomId, 'm.room.topic')).body).toEqual({})
    const { body } = await messages(alice, roomId, { limit: 50 })
    expect(JSON.stringify(body)).not.toContain('old secret')
  })

  it('does not take away what made the room', async () => {
    const roomId = await newRoom(alice)
    const create = (await allState(alice, roomId)).find(({ type }) => type === 'm.room.create')
    expect(await redact(alice, roomId, create?.event_id ?? '', 'c')).toMatchObject(forbidden)
  })

  it('keeps a member joined whose membership is redacted', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    const member = (await allState(alice, roomId)).find(({ state_key }) => state_key === bob.userId)
    await redact(alice, roomId, member?.event_id ?? '', 'm')
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toEqual({ membership: 'join' })
    await send(bob, roomId, 'still here')
    expect(await act(alice, 'kick', roomId, bob)).toMatchObject({ status: 200 })
  })
})
