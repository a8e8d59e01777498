import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newRoom, roomPath, send } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const ROOM = '!room:hearth.test'
let server: TestServer
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const own = (type: string, user: Person = alice) =>
  `/_matrix/client/v3/user/${encodeURIComponent(user.userId)}/account_data/${encodeURIComponent(type)}`
const inRoom = (type: string, user: Person = alice, room = ROOM) =>
  `/_matrix/client/v3/user/${encodeURIComponent(user.userId)}/rooms/${encodeURIComponent(room)}/account_data/${encodeURIComponent(type)}`
const tagPath = (tag?: string, user: Person = alice, room = ROOM) =>
  `/_matrix/client/v3/user/${encodeURIComponent(user.userId)}/rooms/${encodeURIComponent(room)}/tags${tag === undefined ? '' : `/${encodeURIComponent(tag)}`}`

const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

describe('client-server-api §Client Config', () => {
  it('keeps global data and that of rooms apart', async () => {
    const content = { 'a.b': { $c: '\u2028', __proto__x: [1, null, true] } }
    expect(await alice.api.put(own('org.example.thing'), content)).toMatchObject({ status: 200, body: {} })
    expect(await alice.api.get(inRoom('org.example.thing'))).toMatchObject(notFound)
    expect((await alice.api.get(own('org.example.thing'))).body).toEqual(content)
    await alice.api.put(inRoom('org.example.thing'), { room: true })
    expect((await alice.api.get(inRoom('org.example.thing'))).body).toEqual({ room: true })
    expect((await alice.api.get(own('org.example.thing'))).body).toEqual(content)
  })

  it('replaces what was there', async () => {
    await alice.api.put(own('org.example.twice'), { a: 1 })
    await alice.api.put(own('org.example.twice'), { b: 2 })
    expect((await alice.api.get(own('org.example.twice'))).body).toEqual({ b: 2 })
  })

  it('shows nobody the data of others', async () => {
    for (const path of [own('org.example.thing', bob), inRoom('org.example.thing', bob)]) {
      expect(await alice.api.get(path)).toMatchObject(forbidden)
      expect(await alice.api.put(path, {})).toMatchObject(forbidden)
    }
  })

  it.each(['m.fully_read', 'm.push_rules'])('refuses to set %s with 405 M_BAD_JSON', async (type) => {
    for (const path of [own(type), inRoom(type)]) {
      const before = await alice.api.get(path)
      expect(await alice.api.put(path, { x: 1 })).toMatchObject({ status: 405, body: { errcode: 'M_BAD_JSON' } })
      expect(await alice.api.get(path)).toMatchObject({ status: before.status, body: before.body })
    }
  })

  it('lets the types that it manages itself be read as any other', async () => {
    const { body: rules } = await alice.api.get('/_matrix/client/v3/pushrules/')
    expect(rules).toHaveProperty('global.override')
    expect(await alice.api.get(own('m.push_rules'))).toMatchObject({ status: 200, body: rules })
    await alice.api.put('/_matrix/client/v3/pushrules/global/sender/%40spam%3Aexample.org', { actions: [] })
    const changed = (await alice.api.get(own('m.push_rules'))).body
    expect(changed).toEqual((await alice.api.get('/_matrix/client/v3/pushrules/')).body)
    expect(changed).toMatchObject({ global: { sender: [{ rule_id: '@spam:example.org' }] } })
    expect(await alice.api.get(own('m.push_rules', bob))).toMatchObject(forbidden)

    const roomId = await newRoom(alice)
    expect(await alice.api.get(inRoom('m.fully_read', alice, roomId))).toMatchObject(notFound)
    const eventId = await send(alice, roomId, 'read')
    await alice.api.post(roomPath(roomId, '/read_markers'), { 'm.fully_read': eventId })
    expect((await alice.api.get(inRoom('m.fully_read', alice, roomId))).body).toEqual({ event_id: eventId })
  })

  it('refuses what is no object, no room, too long or too large', async () => {
    expect(await alice.api.put(own('t'), ['x'])).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    const text = await alice.api.fetch(own('t'), { method: 'PUT', body: '{' })
    expect([text.status, await text.json()]).toMatchObject([400, { errcode: 'M_NOT_JSON' }])
    expect(await alice.api.put(inRoom('t', alice, '@no:room'), {})).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
    expect(await alice.api.put(own('t'.repeat(256)), {})).toMatchObject({ status: 400 })
    expect(await alice.api.put(own('t'), { x: 'x'.repeat(600_000) })).toMatchObject({
      status: 413,
      body: { errcode: 'M_TOO_LARGE' },
    })
    expect(await alice.api.get(own('t'))).toMatchObject(notFound)
  })
})

describe('client-server-api §Room Tagging', () => {
  it('adds, lists and removes tags, with all that they say, as the m.tag event of the room', async () => {
    expect((await alice.api.get(tagPath())).body).toEqual({ tags: {} })
    expect(await alice.api.put(tagPath('m.favourite'), { order: 0.25, 'org.example.x': 1 })).toMatchObject({
      status: 200,
      body: {},
    })
    expect((await alice.api.put(tagPath('u.Work/\u00e9'), {})).status).toBe(200)
    const tags = { 'm.favourite': { order: 0.25, 'org.example.x': 1 }, 'u.Work/\u00e9': {} }
    expect((await alice.api.get(tagPath())).body).toEqual({ tags })
    expect((await alice.api.get(inRoom('m.tag'))).body).toEqual({ tags })
    for (let i = 0; i < 2; i += 1) {
      expect(await alice.api.delete(tagPath('m.favourite'))).toMatchObject({ status: 200, body: {} })
    }
    expect((await alice.api.get(tagPath())).body).toEqual({ tags: { 'u.Work/\u00e9': {} } })
  })

  it('loses none of several that are set at the same time', async () => {
    const room = '!busy:hearth.test'
    const names = Array.from({ length: 8 }, (_, i) => `u.t${i}`)
    await Promise.all(names.map((name) => alice.api.put(tagPath(name, alice, room), {})))
    const { body } = await alice.api.get<{ tags: object }>(tagPath(undefined, alice, room))
    expect(Object.keys(body.tags).sort()).toEqual(names)
  })

  it('refuses orders outside 0 to 1, names over 255 bytes, and other users', async () => {
    for (const order of [-0.1, 1.1]) {
      expect(await alice.api.put(tagPath('u.x'), { order })).toMatchObject({
        status: 400,
        body: { errcode: 'M_BAD_JSON' },
      })
    }
    expect(await alice.api.put(tagPath('u.x'), { order: 'first' })).toMatchObject({ body: { errcode: 'M_BAD_JSON' } })
    expect(await alice.api.put(tagPath('u'.repeat(256)), {})).toMatchObject({ body: { errcode: 'M_INVALID_PARAM' } })
    for (const call of [
      alice.api.get(tagPath(undefined, bob)),
      alice.api.put(tagPath('u.x', bob), {}),
      alice.api.delete(tagPath('u.x', bob)),
    ]) {
      expect(await call).toMatchObject(forbidden)
    }
  })

  it('bears an m.tag that a client has filled with something else', async () => {
    const room = '!odd:hearth.test'
    await alice.api.put(inRoom('m.tag', alice, room), { tags: { good: {}, bad: 5 } })
    expect((await alice.api.get(tagPath(undefined, alice, room))).body).toEqual({ tags: { good: {} } })
    await alice.api.put(inRoom('m.tag', alice, room), { tags: 'none' })
    expect((await alice.api.get(tagPath(undefined, alice, room))).body).toEqual({ tags: {} })
  })
})
