import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AppserviceRig } from '../appservices/rig.ts'
import { registerAdmin } from '../support/admin.ts'
import { act, join, newRoom, setState } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

interface Found {
  readonly limited: boolean
  readonly results: readonly { user_id: string; display_name?: string; avatar_url?: string }[]
}
const find = async (who: Person, term: string, limit?: number): Promise<Found> => {
  const reply = await who.api.post<Found>('/_matrix/client/v3/user_directory/search', { search_term: term, limit })
  expect(reply.status).toBe(200)
  return reply.body
}
const ids = ({ results }: Found): readonly string[] => results.map(({ user_id }) => user_id)
const setProfile = (who: Person, key: string, value: string) =>
  who.api.put(`/_matrix/client/v3/profile/${encodeURIComponent(who.userId)}/${key}`, { [key]: value })

let server: TestServer
let alice: Person
beforeEach(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
})
afterEach(() => server[Symbol.asyncDispose]())

describe('client-server-api §User Directory', () => {
  it('finds users of this home by parts of their names and IDs, whatever case and accents', async () => {
    const bob = await server.register('bob')
    await setProfile(bob, 'displayname', 'Rósa Lärm')
    await setProfile(bob, 'avatar_url', 'mxc://hearth.test/picture')
    for (const term of ['rosa', 'LARM ros', 'arm', 'BO', '@bob:hearth', '@bob:hearth.test']) {
      expect(await find(alice, term), term).toEqual({
        limited: false,
        results: [{ user_id: bob.userId, display_name: 'Rósa Lärm', avatar_url: 'mxc://hearth.test/picture' }],
      })
    }
    for (const term of ['rosa bert', 'hearth', '', '  ', 'alice'])
      expect(ids(await find(alice, term)), term).toEqual([])
  })

  it('gives the best first, then those with a profile, up to the limit', async () => {
    const people = new Map<string, Person>()
    for (const name of ['xannax', 'ann', 'anna', 'annb']) people.set(name, await server.register(name))
    await setProfile(people.get('annb') as Person, 'displayname', 'Bea')
    const all = await find(alice, 'ann')
    expect(ids(all)).toEqual(['ann', 'annb', 'anna', 'xannax'].map((name) => people.get(name)?.userId))
    expect(all.limited).toBe(false)
    expect(await find(alice, 'ann', 2)).toEqual({ limited: true, results: all.results.slice(0, 2) })
    for (let i = 0; i < 10; i += 1) await server.register(`annex${i}`)
    expect((await find(alice, 'annex')).limited).toBe(false)
    expect((await find(alice, 'ann')).results).toHaveLength(10)
  })

  it('leaves out who is locked or deactivated', async () => {
    const bob = await server.register('bob')
    const carol = await server.register('carol')
    const admin = await registerAdmin(server, 'admin')
    const lock = (locked: boolean) => admin.api.put(`/_matrix/client/v1/admin/lock/${bob.userId}`, { locked })
    expect((await lock(true)).status).toBe(200)
    expect(ids(await find(carol, 'bob'))).toEqual([])
    await lock(false)
    expect(ids(await find(carol, 'bob'))).toEqual([bob.userId])
    const auth = { type: 'm.login.password', user: bob.userId, password: 'password of bob' }
    expect((await bob.api.post('/_matrix/client/v3/account/deactivate', { auth })).status).toBe(200)
    expect(ids(await find(carol, 'bob'))).toEqual([])
  })

  it('wants a term', async () => {
    const { status, body } = await alice.api.post<{ errcode: string }>('/_matrix/client/v3/user_directory/search', {})
    expect([status, body.errcode]).toEqual([400, 'M_BAD_JSON'])
  })

  it('finds bridged users of rooms that anybody may join or read, and of no other room without the searcher', async () => {
    await using rig = await AppserviceRig.start()
    const searcher = await rig.server.register('searcher')
    const joinRule = (preset: string, visibility: string) => ({
      preset,
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    })
    const ghosts: Person[] = []
    const rooms: string[] = []
    for (const [name, wish] of [
      ['_irc_public', joinRule('public_chat', 'joined')],
      ['_irc_readable', joinRule('private_chat', 'world_readable')],
      ['_irc_closed', joinRule('private_chat', 'shared')],
    ] as const) {
      const ghost = await rig.service.newUser(rig.server, name)
      ghosts.push(ghost)
      rooms.push(await newRoom(ghost, wish))
    }
    const [open, readable, closed] = ghosts.map(({ userId }) => userId)
    expect(ids(await find(searcher, '_irc_')).toSorted()).toEqual([open, readable])
    const close = { join_rule: 'invite' }
    expect((await setState(ghosts[0] as Person, rooms[0] ?? '', 'm.room.join_rules', close)).status).toBe(200)
    expect(ids(await find(searcher, '_irc_'))).toEqual([readable])
    await act(ghosts[2] as Person, 'invite', rooms[2] ?? '', searcher)
    expect(ids(await find(searcher, '_irc_'))).toEqual([readable])
    await join(searcher, rooms[2] ?? '')
    expect(ids(await find(searcher, '_irc_')).toSorted()).toEqual([closed, readable])
  })
})
