import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Homes, startHomes } from '../support/homes.ts'
import { newRoom } from '../support/room-calls.ts'
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
})
