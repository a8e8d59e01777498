import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../server/index.ts'
import type { Clock } from '../../server/observe/environment.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom, roomPath, send } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

let homes: Homes & { readonly 0: Home; readonly 1: Home; readonly 2: Home }
let aheadMs = 0
const clock: Clock = { now: () => systemClock.now() + aheadMs, after: systemClock.after }
let alice: Person
let bob: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'], { clock })
  alice = await homes[0].register('alice')
  bob = await homes[1].register('bob')
})
afterAll(() => homes[Symbol.asyncDispose]())

const inPath = encodeURIComponent
const profilePath = (userId: string, field = '') => `/_matrix/client/v3/profile/${inPath(userId)}${field}`

async function join(person: Person, roomId: string, via = 'alpha.test'): Promise<void> {
  expect(await person.api.post(`/_matrix/client/v3/join/${inPath(roomId)}`, {}, { via })).toMatchObject({ status: 200 })
}

/** What is remembered of other servers is forgotten. */
function later(): void {
  aheadMs += 10 * 60_000
}

describe('client-server-api §Profiles, of users of other servers', () => {
  it('are shown as their server has them, whole and by field', async () => {
    await alice.api.put(profilePath(alice.userId, '/displayname'), { displayname: 'Alice' })
    await alice.api.put(profilePath(alice.userId, '/m.tz'), { 'm.tz': 'Europe/London' })
    await alice.api.put(profilePath(alice.userId, '/org.example.pets'), {
      'org.example.pets': [{ name: 'Rex', age: 3 }],
    })
    later()
    const pets = { 'org.example.pets': [{ name: 'Rex', age: 3 }] }
    expect((await bob.api.get(profilePath(alice.userId, '/displayname'))).body).toEqual({ displayname: 'Alice' })
    expect((await bob.api.get(profilePath(alice.userId, '/org.example.pets'))).body).toEqual(pets)
    expect((await bob.api.get(profilePath(alice.userId))).body).toEqual({
      displayname: 'Alice',
      'm.tz': 'Europe/London',
      ...pets,
    })
  })

  it('tell apart who is not there, what is not set, and a server that is away', async () => {
    later()
    const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
    expect(await bob.api.get(profilePath('@nobody:alpha.test'))).toMatchObject(notFound)
    expect(await bob.api.get(profilePath(alice.userId, '/avatar_url'))).toMatchObject(notFound)
    expect(await bob.api.get(profilePath(alice.userId, '/org.example.none'))).toMatchObject(notFound)
    expect(await bob.api.get(profilePath('@a:nowhere.test'))).toMatchObject({ status: 502 })
    expect(await bob.api.get(profilePath(alice.userId, '/Not%20a%20key'))).toMatchObject({ status: 400 })
  })

  it('are asked for once in a while', async () => {
    later()
    await alice.api.put(profilePath(alice.userId, '/displayname'), { displayname: 'Alice' })
    expect((await bob.api.get(profilePath(alice.userId))).body).toMatchObject({ displayname: 'Alice' })
    await alice.api.put(profilePath(alice.userId, '/displayname'), { displayname: 'Alicia' })
    expect((await bob.api.get(profilePath(alice.userId))).body).toMatchObject({ displayname: 'Alice' })
    later()
    expect((await bob.api.get(profilePath(alice.userId))).body).toMatchObject({ displayname: 'Alicia' })
  })
})

describe('client-server-api §Published room directory, of other servers', () => {
  const path = '/_matrix/client/v3/publicRooms'
  interface Page {
    readonly chunk: readonly { readonly room_id: string; readonly name: string }[]
    readonly next_batch?: string
    readonly total_room_count_estimate: number
  }
  const namesIn = ({ chunk }: Page) => chunk.map(({ name }) => name).sort()

  beforeAll(async () => {
    for (const name of ['Attic', 'Cellar', 'Garden']) {
      await newRoom(alice, { preset: 'public_chat', visibility: 'public', name })
    }
    await newRoom(alice, {
      preset: 'public_chat',
      visibility: 'public',
      name: 'Ours',
      creation_content: { 'm.federate': false },
    })
  })

  it('is shown page by page, and searched', async () => {
    const all = await bob.api.get<Page>(path, { server: 'alpha.test' })
    expect(namesIn(all.body)).toEqual(['Attic', 'Cellar', 'Garden'])
    const first = await bob.api.get<Page>(path, { server: 'alpha.test', limit: 2 })
    const { next_batch: since } = first.body
    const second = await bob.api.get<Page>(path, { server: 'alpha.test', limit: 2, since: String(since) })
    expect([...namesIn(first.body), ...namesIn(second.body)].sort()).toEqual(['Attic', 'Cellar', 'Garden'])
    expect(second.body.next_batch).toBeUndefined()
    const found = await bob.api.post<Page>(
      path,
      { filter: { generic_search_term: 'gARd' }, limit: 10 },
      { server: 'alpha.test' },
    )
    expect(namesIn(found.body)).toEqual(['Garden'])
    const spaces = await bob.api.post<Page>(path, { filter: { room_types: ['m.space'] } }, { server: 'alpha.test' })
    expect(namesIn(spaces.body)).toEqual([])
  })

  it('is 502 where the server cannot be reached, and our own where it is named', async () => {
    expect(await bob.api.get(path, { server: 'nowhere.test' })).toMatchObject({ status: 502 })
    expect((await bob.api.get<Page>(path, { server: 'beta.test' })).body.chunk).toEqual([])
  })
})

describe('client-server-api §Discovering rooms within spaces, on other servers', () => {
  interface Hierarchy {
    readonly rooms: readonly { readonly room_id: string; readonly name?: string; readonly children_state: unknown[] }[]
    readonly next_batch?: string
  }
  const hierarchy = (who: Person, roomId: string, query: Record<string, string | number> = {}) =>
    who.api.get<Hierarchy>(`/_matrix/client/v1/rooms/${inPath(roomId)}/hierarchy`, query)
  const namesOf = async (who: Person, roomId: string) => {
    const { body } = await hierarchy(who, roomId)
    return body.rooms.map(({ name }) => name)
  }
  const child = (who: Person, space: string, roomId: string, order: string, via = ['alpha.test']) =>
    who.api.put(roomPath(space, `/state/m.space.child/${inPath(roomId)}`), { via, order })
  const space = (who: Person, name: string, wish: object = {}) =>
    newRoom(who, { preset: 'public_chat', name, creation_content: { type: 'm.space' }, ...wish })

  it('walks into rooms and spaces that only others are in', async () => {
    const house = await space(alice, 'House')
    const attic = await space(alice, 'Attic')
    await child(alice, house, await newRoom(alice, { preset: 'public_chat', name: 'Kitchen' }), 'b')
    await child(alice, house, attic, 'a')
    await child(alice, attic, await newRoom(alice, { preset: 'public_chat', name: 'Trunk' }), 'a')
    await child(alice, attic, await newRoom(alice, { preset: 'private_chat', name: 'Secret' }), 'b')
    await join(bob, house)
    await expect.poll(() => namesOf(bob, house)).toEqual(['House', 'Attic', 'Trunk', 'Kitchen'])
    // Nobody of theirs is in it, yet it can be looked at.
    expect(await namesOf(bob, attic)).toEqual(['Attic', 'Trunk'])
    const first = await hierarchy(bob, house, { limit: 2 })
    const second = await hierarchy(bob, house, { limit: 2, from: String(first.body.next_batch) })
    expect(second.body.rooms.map(({ name }) => name)).toEqual(['Trunk', 'Kitchen'])
    const flat = await hierarchy(bob, house, { max_depth: 1 })
    expect(flat.body.rooms.map(({ name }) => name)).toEqual(['House', 'Attic', 'Kitchen'])
  })

  it('goes on without rooms whose servers are away', async () => {
    const mine = await space(bob, 'Mine')
    const kitchen = await newRoom(alice, { preset: 'public_chat', name: 'Kitchen' })
    await child(bob, mine, kitchen, 'a', ['nowhere.test', 'alpha.test'])
    await child(bob, mine, await newRoom(bob, { preset: 'public_chat', name: 'Own' }), 'b')
    expect(await namesOf(bob, mine)).toEqual(['Mine', 'Kitchen', 'Own'])
    homes.cut(homes[0], homes[1])
    later()
    expect(await namesOf(bob, mine)).toEqual(['Mine', 'Own'])
    homes.healAll()
  })

  it('shows a restricted room to those alone who may join it', async () => {
    const house = await space(alice, 'House')
    const club = await newRoom(alice, {
      preset: 'private_chat',
      name: 'Club',
      initial_state: [
        {
          type: 'm.room.join_rules',
          state_key: '',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: house }] },
        },
      ],
    })
    await join(bob, house)
    const carol = await homes[1].register('carol')
    const mine = await space(bob, 'Mine')
    await join(carol, mine, 'beta.test')
    await child(bob, mine, club, 'a')
    await expect.poll(() => namesOf(bob, mine)).toEqual(['Mine', 'Club'])
    expect(await namesOf(carol, mine)).toEqual(['Mine'])
  })

  it('describes a room by ID and via, and by alias', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat', name: 'Tavern', room_alias_name: 'tavern' })
    const summary = (name: string, query = {}) => bob.api.get(`/_matrix/client/v1/room_summary/${inPath(name)}`, query)
    const described = {
      status: 200,
      body: { room_id: roomId, name: 'Tavern', num_joined_members: 1, join_rule: 'public', membership: 'leave' },
    }
    expect(await summary(roomId, { via: 'alpha.test' })).toMatchObject(described)
    expect(await summary('#tavern:alpha.test')).toMatchObject(described)
    const secret = await newRoom(alice, { preset: 'private_chat', name: 'Secret' })
    const hidden = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
    expect(await summary(secret, { via: 'alpha.test' })).toMatchObject(hidden)
    await alice.api.post(roomPath(secret, '/invite'), { user_id: bob.userId })
    later()
    expect(await summary(secret, { via: 'alpha.test' })).toMatchObject({
      status: 200,
      body: { name: 'Secret', membership: 'invite' },
    })
  })
})

describe('client-server-api §OpenID, of a user of another server', () => {
  it('tells whoever has the token whose it is', async () => {
    const { body } = await alice.api.post<{ access_token: string; matrix_server_name: string }>(
      `/_matrix/client/v3/user/${inPath(alice.userId)}/openid/request_token`,
      {},
    )
    expect(body.matrix_server_name).toBe('alpha.test')
    const path = `/_matrix/federation/v1/openid/userinfo?access_token=${inPath(body.access_token)}`
    expect((await homes.call(homes[0], path)).body).toEqual({ sub: alice.userId })
    expect((await homes.call(homes[0], `${path}x`)).status).toBe(401)
  })
})

describe('server-server-api §Server Access Control Lists, what is sent besides events', () => {
  it('goes to none of the servers that the room shuts out', async () => {
    const carla = await homes[2].register('carla')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    await join(carla, roomId)
    await alice.api.put(roomPath(roomId, '/state/m.room.server_acl'), { allow: ['*'], deny: ['gamma.test'] })
    const eventId = await send(bob, roomId, 'hello')
    const typing = async (who: Person) => {
      const { body } = await who.api.get<{
        rooms?: { join?: Record<string, { ephemeral: { events: { type: string; content: unknown }[] } }> }
      }>('/_matrix/client/v3/sync', { timeout: 0 })
      return body.rooms?.join?.[roomId]?.ephemeral.events ?? []
    }
    await expect.poll(async () => (await alice.api.get(roomPath(roomId, `/event/${inPath(eventId)}`))).status).toBe(200)
    await alice.api.put(roomPath(roomId, `/typing/${inPath(alice.userId)}`), { typing: true, timeout: 60_000 })
    await alice.api.post(roomPath(roomId, `/receipt/m.read/${inPath(eventId)}`), {})
    await expect
      .poll(async () => (await typing(bob)).map(({ type }) => type).sort(), { timeout: 10_000 })
      .toEqual(['m.receipt', 'm.typing'])
    expect(await typing(carla)).toEqual([])
  })
})
