import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getState, join, leave, newRoom, roomPath, setState } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const alias = (name: string) => `#${name}:hearth.test`
const aliasPath = (full: string) => `/_matrix/client/v3/directory/room/${encodeURIComponent(full)}`
const listPath = (roomId: string) => `/_matrix/client/v3/directory/list/room/${encodeURIComponent(roomId)}`
interface Directory {
  chunk: { room_id: string; name?: string; num_joined_members: number }[]
  next_batch?: string
  prev_batch?: string
  total_room_count_estimate: number
}

describe('client-server-api §Room aliases', () => {
  it('makes, resolves, lists and removes aliases', async () => {
    const roomId = await newRoom(alice)
    expect(await alice.api.put(aliasPath(alias('one')), { room_id: roomId })).toMatchObject({ status: 200, body: {} })
    expect((await server.api().get(aliasPath(alias('one')))).body).toEqual({
      room_id: roomId,
      servers: ['hearth.test'],
    })
    expect(await alice.api.put(aliasPath(alias('one')), { room_id: roomId })).toMatchObject({ status: 409 })
    await alice.api.put(aliasPath(alias('two')), { room_id: roomId })
    expect((await alice.api.get(roomPath(roomId, '/aliases'))).body).toEqual({ aliases: [alias('one'), alias('two')] })
    expect(await bob.api.get(roomPath(roomId, '/aliases'))).toMatchObject(forbidden)
    expect(await bob.api.delete(aliasPath(alias('one')))).toMatchObject(forbidden)
    expect(await alice.api.delete(aliasPath(alias('one')))).toMatchObject({ status: 200 })
    expect(await server.api().get(aliasPath(alias('one')))).toMatchObject(notFound)
    expect(await alice.api.delete(aliasPath(alias('one')))).toMatchObject(notFound)
  })

  it('lets every member make aliases, and remove their own; nobody else', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    expect(await bob.api.put(aliasPath(alias('bobs')), { room_id: roomId })).toMatchObject(forbidden)
    await join(bob, roomId)
    expect(await bob.api.put(aliasPath(alias('bobs')), { room_id: roomId })).toMatchObject({ status: 200 })
    expect(await bob.api.delete(aliasPath(alias('bobs')))).toMatchObject({ status: 200 })
  })

  it.each([
    ['one of another server', '#x:other.test', 400],
    ['one with white space', '#a b:hearth.test', 400],
    ['what is no alias', 'x', 400],
  ])('refuses %s', async (_, full, status) => {
    const roomId = await newRoom(alice)
    expect(await alice.api.put(aliasPath(full), { room_id: roomId })).toMatchObject({
      status,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })

  it('refuses an alias for a room that is not there', async () => {
    expect(await alice.api.put(aliasPath(alias('none')), { room_id: '!none:hearth.test' })).toMatchObject(notFound)
  })

  it('shows the aliases of a world-readable room to anybody', async () => {
    const roomId = await newRoom(alice, { room_alias_name: 'world' })
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' })
    expect((await bob.api.get(roomPath(roomId, '/aliases'))).body).toEqual({ aliases: [alias('world')] })
  })

  it('takes a removed alias out of the canonical alias', async () => {
    const roomId = await newRoom(alice, { room_alias_name: 'canon' })
    await alice.api.delete(aliasPath(alias('canon')))
    expect((await getState(alice, roomId, 'm.room.canonical_alias')).body).toEqual({})
  })
})

describe('client-server-api §Published room directory', () => {
  it('lists published rooms, most members first, and follows what changes', async () => {
    const small = await newRoom(alice, { visibility: 'public', name: 'Small', topic: 'quiet' })
    const large = await newRoom(alice, { visibility: 'public', name: 'Large', room_alias_name: 'large' })
    await newRoom(alice, { name: 'Hidden' })
    await join(bob, large)
    const list = async () => (await server.api().get<Directory>('/_matrix/client/v3/publicRooms')).body
    const { chunk, total_room_count_estimate } = await list()
    expect(chunk).toEqual([
      {
        room_id: large,
        name: 'Large',
        canonical_alias: '#large:hearth.test',
        num_joined_members: 2,
        world_readable: false,
        guest_can_join: false,
        join_rule: 'public',
      },
      {
        room_id: small,
        name: 'Small',
        topic: 'quiet',
        num_joined_members: 1,
        world_readable: false,
        guest_can_join: false,
        join_rule: 'public',
      },
    ])
    expect(total_room_count_estimate).toBe(2)
    await setState(alice, small, 'm.room.name', { name: 'Renamed' })
    await leave(bob, large)
    expect((await list()).chunk.map(({ name, num_joined_members }) => [name, num_joined_members])).toEqual(
      expect.arrayContaining([
        ['Large', 1],
        ['Renamed', 1],
      ]),
    )
    for (const roomId of [small, large]) await alice.api.put(listPath(roomId), { visibility: 'private' })
    expect((await list()).chunk).toEqual([])
  })

  it('says nothing of who may join: a room may be published and closed, or open and not published', async () => {
    const closed = await newRoom(alice, { visibility: 'public', preset: 'private_chat', name: 'Closed' })
    const open = await newRoom(alice, { visibility: 'private', preset: 'public_chat', name: 'Open' })
    const { chunk } = (await server.api().get<Directory>('/_matrix/client/v3/publicRooms')).body
    expect(chunk).toContainEqual(expect.objectContaining({ room_id: closed, join_rule: 'invite' }))
    expect(chunk.map(({ room_id }) => room_id)).not.toContain(open)
    expect(await join(bob, closed)).toMatchObject(forbidden)
    expect(await join(bob, open)).toMatchObject({ status: 200 })
    await alice.api.put(listPath(closed), { visibility: 'private' })
  })

  it('is changed only by those with the power for it', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    expect(await bob.api.put(listPath(roomId), { visibility: 'public' })).toMatchObject(forbidden)
    expect(await alice.api.put(listPath(roomId), {})).toMatchObject({ status: 200 })
    expect((await server.api().get(listPath(roomId))).body).toEqual({ visibility: 'public' })
    await alice.api.put(listPath(roomId), { visibility: 'private' })
    expect(await server.api().get(listPath('!none:hearth.test'))).toMatchObject(notFound)
    expect(await alice.api.put(listPath('!none:hearth.test'), {})).toMatchObject(notFound)
  })

  it('pages in both directions, searches, and tells rooms by type', async () => {
    const rooms: string[] = []
    for (const name of ['Apple', 'Banana', 'Cherry', 'Date']) {
      const creation_content = name === 'Date' ? { type: 'm.space' } : {}
      rooms.push(await newRoom(alice, { visibility: 'public', name, creation_content }))
    }
    const path = '/_matrix/client/v3/publicRooms'
    const first = (await alice.api.post<Directory>(path, { limit: 3 })).body
    expect(first.chunk).toHaveLength(3)
    expect(first.prev_batch).toBeUndefined()
    const second = (await alice.api.post<Directory>(path, { limit: 3, since: first.next_batch })).body
    expect(second.chunk).toHaveLength(1)
    expect(second.next_batch).toBeUndefined()
    expect(new Set([...first.chunk, ...second.chunk].map(({ room_id }) => room_id))).toEqual(new Set(rooms))
    expect((await alice.api.get<Directory>(path, { limit: 3, since: second.prev_batch })).body.chunk).toEqual(
      first.chunk,
    )
    const search = async (filter: unknown) =>
      (await alice.api.post<Directory>(path, { filter })).body.chunk.map(({ name }) => name)
    expect(await search({ generic_search_term: 'BAN' })).toEqual(['Banana'])
    expect(await search({ room_types: ['m.space'] })).toEqual(['Date'])
    expect(await search({ room_types: [null] })).toHaveLength(3)
    expect(await search({ room_types: [null, 'm.space'] })).toHaveLength(4)
    expect(await alice.api.post(path, { since: 'x' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })
})
