import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Homes, startHomes } from '../support/homes.ts'
import { newRoom, roomPath } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

let homes: Homes
let alice: Person
let bob: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test'])
  alice = await homes.get('alpha.test').register('alice')
  bob = await homes.get('beta.test').register('bob')
})
afterAll(() => homes[Symbol.asyncDispose]())

const resolve = (by: Person, alias: string) =>
  by.api.get(`/_matrix/client/v3/directory/room/${encodeURIComponent(alias)}`)

describe('client-server-api §Room aliases, of other servers', () => {
  it('are resolved by asking there, with the servers of the room', async () => {
    const room_id = await newRoom(alice, { preset: 'public_chat', room_alias_name: 'tavern' })
    expect((await resolve(bob, '#tavern:alpha.test')).body).toEqual({ room_id, servers: ['alpha.test'] })
    expect((await resolve(alice, '#tavern:alpha.test')).body).toEqual({ room_id, servers: ['alpha.test'] })
  })

  it('are 404 where they lead nowhere, and 502 where nobody can be asked', async () => {
    expect(await resolve(bob, '#none:alpha.test')).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    homes.cut('alpha.test', 'beta.test')
    expect(await resolve(bob, '#tavern:alpha.test')).toMatchObject({ status: 502 })
    expect(await resolve(bob, '#x:unknown.test')).toMatchObject({ status: 502 })
    homes.healAll()
    expect((await resolve(bob, '#tavern:alpha.test')).status).toBe(200)
  })

  it("are listed in a room's own aliases where they lead to it, and by those alone who may list them", async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await bob.api.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, {}, { via: 'alpha.test' })
    const directory = '/_matrix/client/v3/directory/room/'
    expect((await bob.api.put(`${directory}${encodeURIComponent('#inn:beta.test')}`, { room_id: roomId })).status).toBe(
      200,
    )
    const list = (by: Person, ...others: string[]) =>
      by.api.put(roomPath(roomId, '/state/m.room.canonical_alias'), { alt_aliases: others })
    expect((await list(alice, '#inn:beta.test')).status).toBe(200)
    expect(await list(alice, '#none:beta.test')).toMatchObject({ status: 400, body: { errcode: 'M_BAD_ALIAS' } })
    expect(await list(alice, '#x:unknown.test')).toMatchObject({ status: 502 })
    expect(await list(bob, '#tavern:alpha.test')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const many = Array.from({ length: 21 }, (_, i) => `#${i}:beta.test`)
    expect(await list(alice, ...many)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    // Those that were there stay without anybody being asked.
    homes.cut('alpha.test', 'beta.test')
    expect((await list(alice, '#inn:beta.test', '#inn:beta.test')).status).toBe(200)
    homes.healAll()
  })
})
