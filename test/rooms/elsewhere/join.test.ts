import { describe, expect, it } from 'vitest'
import { RemoteError } from '../../../server/net/index.ts'
import { finishEvent } from '../../../server/protocol/event-signing.ts'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import type { Rooms } from '../../../server/rooms/index.ts'
import { type LinkedServer, type LinkedServers, startLinkedRooms } from '../../support/linked-rooms.ts'

type Three = readonly [LinkedServer, LinkedServer, LinkedServer]

const userOf = (server: LinkedServer, name: string): string => server.test.user(name).userId

async function makeRoom(server: LinkedServer, wish: Partial<Parameters<Rooms['createRoom']>[0]> = {}): Promise<string> {
  return server.rooms.createRoom({ creator: userOf(server, 'alice'), preset: 'public_chat', name: 'Kitchen', ...wish })
}

const joinBy = (server: LinkedServer, name: string, roomId: string, via: readonly string[]): Promise<void> =>
  server.rooms.join({ roomId, userId: userOf(server, name), isGuest: false, via })

let txn = 0
async function say(server: LinkedServer, name: string, roomId: string, body: string): Promise<string> {
  txn += 1
  const content = { msgtype: 'm.text', body }
  return server.rooms.send({
    roomId,
    requester: server.test.user(name),
    type: 'm.room.message',
    content,
    txnId: `${txn}`,
  })
}

const setState = (
  server: LinkedServer,
  name: string,
  roomId: string,
  type: string,
  content: JsonObject,
): Promise<string> => server.rooms.setState({ roomId, requester: server.test.user(name), type, stateKey: '', content })

async function joinedIn(server: LinkedServer, roomId: string): Promise<readonly string[]> {
  using view = await server.rooms.open(roomId)
  return [...view.joined()].sort()
}

describe('server-server-api §Joining Rooms, by our users', () => {
  it.each(ROOM_VERSIONS)('brings a room of version %s in, with its state, and takes part in it', async (version) => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: version })
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    using view = await beta.rooms.open(roomId)
    expect(view.rules.version).toBe(version)
    expect([...view.joined()].sort()).toEqual(['@alice:alpha.test', '@bob:beta.test'])
    expect(view.state.get('m.room.name')?.pdu.content.name).toBe('Kitchen')
    expect(await beta.rooms.serversIn(roomId)).toEqual(new Set(['alpha.test']))
    const eventId = await say(beta, 'bob', roomId, 'hello')
    await linked.deliver(beta, alpha, roomId)
    using there = await alpha.rooms.open(roomId)
    expect(await there.find(eventId)).toMatchObject({ isSoftFailed: false, isRejected: false })
    await say(alpha, 'alice', roomId, 'welcome')
    await linked.deliver(alpha, beta, roomId)
    using after = await beta.rooms.open(roomId)
    const [last] = await after.timeline({ limit: 1, direction: 'backward' })
    expect(last?.pdu.content.body).toBe('welcome')
  })

  it('is the same after a restart', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    await beta.restart()
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@bob:beta.test'])
    expect(await beta.rooms.findMembership('@bob:beta.test', roomId)).toMatchObject({ membership: 'join' })
    expect(await beta.rooms.serversIn(roomId)).toEqual(new Set(['alpha.test']))
    await say(beta, 'bob', roomId, 'still here')
  })

  it('tries the servers that were named until one lets the user in, and the one in the ID last', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test', 'gamma.test'], { defaultRoomVersion: '11' })
    const [alpha, beta, gamma] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(beta, 'bob', roomId, ['nowhere.test', 'gamma.test', 'not a name', 'beta.test'])
    const asked = beta.asked.filter((call) => call.startsWith('makeMembership'))
    expect(asked).toEqual(['makeMembership nowhere.test', 'makeMembership gamma.test', 'makeMembership alpha.test'])
    expect(gamma.asked).toEqual([])
  })

  it('asks no more than a dozen servers', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [, beta] = linked.servers as Three
    const via = Array.from({ length: 50 }, (_, i) => `s${i}.test`)
    await expect(joinBy(beta, 'bob', '!room:alpha.test', via)).rejects.toMatchObject({ status: 502 })
    expect(beta.asked).toHaveLength(12)
  })

  it('finds a room by an alias of another server', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha, { room_alias_name: 'kitchen' })
    const found = await beta.rooms.locate('#kitchen:alpha.test')
    expect(found.roomId).toBe(roomId)
    await joinBy(beta, 'bob', found.roomId, found.servers)
    expect(await joinedIn(beta, roomId)).toContain('@bob:beta.test')
    await expect(beta.rooms.locate('#cellar:alpha.test')).rejects.toMatchObject({ status: 404 })
    await expect(beta.rooms.locate('#kitchen:nowhere.test')).rejects.toMatchObject({ status: 502 })
  })

  it.each([['is not invited', { preset: 'private_chat' as const }, { status: 403, errcode: 'M_FORBIDDEN' }]])(
    'tells a user who %s so, in the words of the other server',
    async (_, wish, error) => {
      await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
      const [alpha, beta] = linked.servers as Three
      const roomId = await makeRoom(alpha, wish)
      await expect(joinBy(beta, 'bob', roomId, ['alpha.test'])).rejects.toMatchObject(error)
    },
  )

  it('says 404 where no server is known that could be asked, and 502 where none answers', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: '12' })
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await expect(joinBy(beta, 'bob', roomId, [])).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
    linked.cut(alpha, beta)
    await expect(joinBy(beta, 'bob', roomId, ['alpha.test'])).rejects.toMatchObject({ status: 502 })
  })

  it('says which version a room has that this server does not know', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    beta.intercept({ makeMembership: (template) => ({ ...template, roomVersion: 'org.future' }) })
    await expect(joinBy(beta, 'bob', roomId, ['alpha.test'])).rejects.toMatchObject({
      status: 400,
      errcode: 'M_INCOMPATIBLE_ROOM_VERSION',
      extra: { room_version: 'org.future' },
    })
  })

  it('lets no guest into a room elsewhere', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    const join = beta.rooms.join({ roomId, userId: userOf(beta, 'guest'), isGuest: true, via: ['alpha.test'] })
    await expect(join).rejects.toMatchObject({ errcode: 'M_GUEST_ACCESS_FORBIDDEN' })
  })

  it('brings the room in once for two users who come at the same time', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await Promise.all([joinBy(beta, 'bob', roomId, ['alpha.test']), joinBy(beta, 'ben', roomId, ['alpha.test'])])
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@ben:beta.test', '@bob:beta.test'])
    expect(beta.asked.filter((call) => call.startsWith('sendJoin'))).toHaveLength(1)
  })

  it('shows the user with the name and picture that they have here, and their reason', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await beta.test.setProfile('@bob:beta.test', { displayname: 'Bob', avatar_url: 'mxc://beta.test/bob' })
    const join = { roomId, userId: '@bob:beta.test', isGuest: false, via: ['alpha.test'], reason: 'dinner' }
    await beta.rooms.join(join)
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', '@bob:beta.test')?.pdu.content).toEqual({
      membership: 'join',
      displayname: 'Bob',
      avatar_url: 'mxc://beta.test/bob',
      reason: 'dinner',
    })
  })

  it('comes back into a room that its users had left, with what happened there since', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    const before = await say(beta, 'bob', roomId, 'bye')
    await beta.rooms.leave({ roomId, userId: '@bob:beta.test' })
    await linked.deliver(beta, alpha, roomId)
    await setState(alpha, 'alice', roomId, 'm.room.name', { name: 'Pantry' })
    for (let i = 0; i < 5; i += 1) await say(alpha, 'alice', roomId, `unheard ${i}`)
    await joinBy(beta, 'bob', roomId, [])
    using view = await beta.rooms.open(roomId)
    expect(view.state.get('m.room.name')?.pdu.content.name).toBe('Pantry')
    expect([...view.joined()].sort()).toEqual(['@alice:alpha.test', '@bob:beta.test'])
    expect(await view.find(before)).toBeDefined()
    const eventId = await say(beta, 'bob', roomId, 'back')
    await linked.deliver(beta, alpha, roomId)
    using there = await alpha.rooms.open(roomId)
    expect(await there.find(eventId)).toMatchObject({ isSoftFailed: false, isRejected: false })
  })

  it('leaves no trace of a room that it was writing when it died', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    // The state is on disk when the server's signature is asked for; nothing after that happens.
    const { promise: never } = Promise.withResolvers<never>()
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    const { store } = beta.test
    const commit = store.commit.bind(store)
    let commits = 0
    store.commit = async (build) => {
      commits += 1
      if (commits < 3) return commit(build)
      resolve()
      return never
    }
    void joinBy(beta, 'bob', roomId, ['alpha.test']).catch(() => undefined)
    await reached
    store.commit = commit
    await beta.restart({ abruptly: true })
    await expect(beta.rooms.open(roomId)).rejects.toMatchObject({ status: 404 })
    expect(beta.rooms.changedSince(0)).toEqual([])
    expect(await beta.rooms.findMembership('@bob:beta.test', roomId)).toBeUndefined()
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@bob:beta.test'])
  })

  it('carries tags over into the room that replaces one on another server', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const old = await makeRoom(alpha)
    await joinBy(beta, 'bob', old, ['alpha.test'])
    const moves: string[] = []
    beta.rooms.onMoved(async ({ from, to }) => void moves.push(`${from} ${to}`))
    const requester = alpha.test.user('alice')
    const next = await alpha.rooms.upgradeRoom({ roomId: old, userId: requester.userId, version: '12' } as never)
    await linked.deliver(alpha, beta, old)
    await joinBy(beta, 'bob', next, ['alpha.test'])
    expect(moves).toEqual([`${old} ${next}`])
  })
})

describe('server-server-api §Restricted rooms, for our users', () => {
  async function restricted(linked: LinkedServers, version: string) {
    const [alpha, beta] = linked.servers as Three
    const club = await makeRoom(alpha, { room_version: version })
    await joinBy(beta, 'bob', club, ['alpha.test'])
    const roomId = await makeRoom(alpha, {
      room_version: version,
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] },
        },
      ],
    })
    return { club, roomId }
  }

  it.each(['8', '9', '10', '11', '12'])(
    'lets a member of the other room into one of version %s, vouched for by a server there',
    async (version) => {
      await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
      const [alpha, beta] = linked.servers as Three
      const { roomId } = await restricted(linked, version)
      await joinBy(beta, 'bob', roomId, ['alpha.test'])
      using view = await beta.rooms.open(roomId)
      const member = view.state.get('m.room.member', '@bob:beta.test')
      expect(member?.pdu.content.join_authorised_via_users_server).toBe('@alice:alpha.test')
      expect(Object.keys(member?.pdu.signatures ?? {}).sort()).toEqual(['alpha.test', 'beta.test'])
      await expect(joinBy(alpha, 'zoe', roomId, [])).rejects.toMatchObject({ status: 403 })
    },
  )

  it('takes no join that the vouching server has not signed', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [, beta] = linked.servers as Three
    const { roomId } = await restricted(linked, '11')
    beta.intercept({ sendJoin: ({ event: _, ...answer }) => ({ ...answer, event: undefined }) })
    await expect(joinBy(beta, 'bob', roomId, ['alpha.test'])).rejects.toMatchObject({ status: 502 })
    await expect(beta.rooms.open(roomId)).rejects.toMatchObject({ status: 404 })
  })

  it('lets a second user in through another server, where nobody of this one could vouch', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [alpha, beta] = linked.servers as Three
    const { club, roomId } = await restricted(linked, '11')
    await setState(alpha, 'alice', roomId, 'm.room.power_levels', { users: { '@alice:alpha.test': 100 }, invite: 50 })
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    await joinBy(beta, 'ben', club, [])
    await linked.deliver(beta, alpha, club)
    await joinBy(beta, 'ben', roomId, [])
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@ben:beta.test', '@bob:beta.test'])
    using view = await beta.rooms.open(roomId)
    const member = view.state.get('m.room.member', '@ben:beta.test')
    expect(member?.pdu.content.join_authorised_via_users_server).toBe('@alice:alpha.test')
  })

  it('says so where the user meets none of the conditions', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'])
    const [, beta] = linked.servers as Three
    const { roomId } = await restricted(linked, '11')
    await expect(joinBy(beta, 'stranger', roomId, ['alpha.test'])).rejects.toMatchObject({ status: 403 })
  })
})

describe('server-server-api §PUT /send_join, `omit_members`', () => {
  /** A room of three servers; beta's Bob comes in while nobody tells who the other members are. */
  async function partialRoom(linked: LinkedServers) {
    const [alpha, beta, gamma] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(gamma, 'carol', roomId, ['alpha.test'])
    const gate = { isOpen: false }
    beta.intercept({
      state: async (answer) => {
        if (!gate.isOpen) throw new RemoteError('alpha.test', 'timeout', 'busy')
        return answer
      },
    })
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    return { roomId, gate, alpha, beta, gamma }
  }
  const start = () => startLinkedRooms(['alpha.test', 'beta.test', 'gamma.test'])

  it('makes the room usable before its members are known: it can be read, written to and heard', async () => {
    await using linked = await start()
    const { roomId, alpha, beta, gamma } = await partialRoom(linked)
    using view = await beta.rooms.open(roomId)
    expect(view.state.get('m.room.name')?.pdu.content.name).toBe('Kitchen')
    const sent = await say(beta, 'bob', roomId, 'hello')
    await linked.deliver(beta, alpha, roomId)
    using there = await alpha.rooms.open(roomId)
    expect(await there.find(sent)).toMatchObject({ isSoftFailed: false, isRejected: false })
    await linked.deliver(alpha, gamma, roomId)
    const heard = await say(gamma, 'carol', roomId, 'hi')
    await linked.deliver(gamma, beta, roomId)
    using now = await beta.rooms.open(roomId)
    expect(await now.find(heard)).toMatchObject({ isSoftFailed: false, isRejected: false })
  })

  it('knows all servers in the room from the start', async () => {
    await using linked = await start()
    const { roomId, beta } = await partialRoom(linked)
    expect(await beta.rooms.serversIn(roomId)).toEqual(new Set(['alpha.test', 'gamma.test']))
    await beta.restart()
    const heard: string[] = []
    beta.rooms.onEvent(({ servers }) => void heard.push(...servers))
    await say(beta, 'bob', roomId, 'hello')
    expect([...new Set(heard)].sort()).toEqual(['alpha.test', 'beta.test', 'gamma.test'])
  })

  it('brings the members behind, also after a restart, and tells those who follow the room', async () => {
    await using linked = await start()
    const { roomId, gate, beta } = await partialRoom(linked)
    await beta.restart()
    const before = beta.test.store.position
    gate.isOpen = true
    const told = Promise.withResolvers<string>()
    beta.rooms.onEvent(({ event }) => told.resolve(event.pdu.type))
    beta.test.clock.advance(600_000)
    expect(await told.promise).toBe('m.room.member')
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@bob:beta.test', '@carol:gamma.test'])
    using view = await beta.rooms.open(roomId)
    const changed = await view.stateChangedSince(before)
    expect(changed.map(({ pdu }) => pdu.state_key).sort()).toEqual(['@alice:alpha.test', '@carol:gamma.test'])
    expect([...(await view.stateAt(view.latestOrder)).ofType('m.room.member').keys()].sort()).toEqual(
      await joinedIn(beta, roomId),
    )
    await beta.restart()
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@bob:beta.test', '@carol:gamma.test'])
    expect(await beta.rooms.serversIn(roomId)).toEqual(new Set(['alpha.test', 'gamma.test']))
  })

  it('lets changes of the room wait until it is known whether they are allowed', async () => {
    await using linked = await start()
    const { roomId, gate, alpha, beta } = await partialRoom(linked)
    await setState(alpha, 'alice', roomId, 'm.room.name', { name: 'Pantry' })
    await linked.deliver(alpha, beta, roomId)
    using before = await beta.rooms.open(roomId)
    expect(before.state.get('m.room.name')?.pdu.content.name).toBe('Kitchen')
    gate.isOpen = true
    beta.test.clock.advance(600_000)
    await beta.rooms.choresDone()
    using after = await beta.rooms.open(roomId)
    expect(after.state.get('m.room.name')?.pdu.content.name).toBe('Pantry')
  })

  it('hides messages of those who turn out not to have been in the room', async () => {
    await using linked = await start()
    const [alpha, beta, gamma] = linked.servers as Three
    const roomId = await makeRoom(alpha)
    await joinBy(gamma, 'carol', roomId, ['alpha.test'])
    // Carol is banned, and does not hear of it.
    await alpha.rooms.ban({ roomId, by: '@alice:alpha.test', target: '@carol:gamma.test' })
    const gate = { isOpen: false }
    beta.intercept({
      state: async (answer) => {
        if (!gate.isOpen) throw new RemoteError('alpha.test', 'timeout', 'busy')
        return answer
      },
    })
    await joinBy(beta, 'bob', roomId, ['alpha.test'])
    using view = await beta.rooms.open(roomId)
    using past = await gamma.rooms.open(roomId)
    const state = (type: string): string => view.state.get(type)?.eventId ?? ''
    const { eventId: said, pdu } = finishEvent({
      rules: view.rules,
      serverName: 'gamma.test',
      key: gamma.key,
      draft: {
        room_id: roomId,
        type: 'm.room.message',
        sender: '@carol:gamma.test',
        content: { msgtype: 'm.text', body: 'I am still here' },
        prev_events: [view.state.get('m.room.member', '@bob:beta.test')?.eventId ?? ''],
        auth_events: [
          state('m.room.power_levels'),
          past.state.get('m.room.member', '@carol:gamma.test')?.eventId ?? '',
        ],
        depth: 20,
        origin_server_ts: 1_800_000_000_000,
      },
    })
    const reception = await beta.rooms.receive({ roomId, json: pdu as unknown as Json, from: 'gamma.test' })
    expect(reception.outcome).toBe('accepted')
    gate.isOpen = true
    beta.test.clock.advance(600_000)
    await beta.rooms.choresDone()
    using after = await beta.rooms.open(roomId)
    expect(after.membershipOf('@carol:gamma.test')).toBe('ban')
    expect(await after.find(said)).toMatchObject({ isSoftFailed: true })
    const shown = await after.timeline({ limit: 100, direction: 'forward' })
    expect(shown.map(({ eventId }) => eventId)).not.toContain(said)
  })

  it.each([
    ['holds the join itself', (state: readonly Json[], join: Json) => [...state, join]],
    [
      'leaves members out',
      (state: readonly Json[]) => state.filter((event) => (event as JsonObject).sender !== '@carol:gamma.test'),
    ],
  ])('takes what it can from a state that %s', async (_, change) => {
    await using linked = await start()
    const { roomId, gate, beta } = await partialRoom(linked)
    using view = await beta.rooms.open(roomId)
    const join = view.state.get('m.room.member', '@bob:beta.test')?.pdu as unknown as Json
    beta.intercept({ state: (answer) => ({ ...answer, state: change(answer.state, join) }) })
    gate.isOpen = true
    beta.test.clock.advance(600_000)
    await beta.rooms.choresDone()
    expect(await joinedIn(beta, roomId)).toContain('@alice:alpha.test')
    using after = await beta.rooms.open(roomId)
    const members = (await after.stateAt(after.latestOrder - 1)).ofType('m.room.member')
    expect(members.get('@bob:beta.test')).toBeUndefined()
  })

  it.each([
    ['is empty', () => []],
    ['names members twice', (state: readonly Json[]) => [...state, ...state]],
    ['is no list of events', () => [1, null, 'x']],
  ])('takes nothing from a state that %s, and asks again', async (_, change) => {
    await using linked = await start()
    const { roomId, gate, beta } = await partialRoom(linked)
    let isForged = true
    beta.intercept({ state: (answer) => (isForged ? { ...answer, state: change(answer.state) } : answer) })
    gate.isOpen = true
    beta.test.clock.advance(10_000)
    await beta.rooms.choresDone()
    expect(await joinedIn(beta, roomId)).not.toContain('@carol:gamma.test')
    isForged = false
    beta.test.clock.advance(600_000)
    await beta.rooms.choresDone()
    expect(await joinedIn(beta, roomId)).toContain('@carol:gamma.test')
  })

  it('does not believe another server than the one it came in by that others are not in the room', async () => {
    await using linked = await start()
    const { roomId, gate, alpha, beta, gamma } = await partialRoom(linked)
    await linked.deliver(alpha, gamma, roomId)
    linked.cut(alpha, beta)
    const withoutAlice = (state: readonly Json[]) =>
      state.filter((event) => (event as JsonObject).state_key !== '@alice:alpha.test')
    let isForged = true
    beta.intercept({ state: (answer) => (isForged ? { ...answer, state: withoutAlice(answer.state) } : answer) })
    gate.isOpen = true
    beta.test.clock.advance(10_000)
    await beta.rooms.choresDone()
    expect(await joinedIn(beta, roomId)).not.toContain('@carol:gamma.test')
    isForged = false
    linked.heal(alpha, beta)
    beta.test.clock.advance(600_000)
    await beta.rooms.choresDone()
    expect(await joinedIn(beta, roomId)).toEqual(['@alice:alpha.test', '@bob:beta.test', '@carol:gamma.test'])
  })

  it('answers who is in the room only when it knows', async () => {
    await using linked = await start()
    const { roomId, gate, beta } = await partialRoom(linked)
    const members = beta.rooms.readJoinedMembers({ roomId, userId: '@bob:beta.test', appserviceId: undefined })
    gate.isOpen = true
    beta.test.clock.advance(10_000)
    expect(Object.keys(await members).sort()).toEqual(['@alice:alpha.test', '@bob:beta.test', '@carol:gamma.test'])
  })
})
