import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../support/manual-clock.ts'
import {
  allState,
  forget,
  history,
  join,
  leave,
  messages,
  newRoom,
  roomPath,
  send,
  setState,
} from '../../support/room-calls.ts'
import { faultsOfEvent, faultsOfReply } from '../../support/spec-schema.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const V3 = '/_matrix/client/v3'
const e = encodeURIComponent
let server: TestServer
let alice: Person
let bob: Person
let roomId: string
let eventId: string
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  await alice.api.put(`${V3}/profile/${e(alice.userId)}/displayname`, { displayname: 'Alice' })
  roomId = await newRoom(alice, { visibility: 'public', name: 'N', topic: 'T', room_alias_name: 'all' })
  await join(bob, roomId)
  eventId = await send(bob, roomId, 'hello')
  await setState(alice, roomId, 'm.room.topic', { topic: 'other' })
  const gone = await send(alice, roomId, 'gone')
  await alice.api.put(roomPath(roomId, `/redact/${e(gone)}/r`), { reason: 'x' })
})
afterAll(() => server[Symbol.asyncDispose]())

describe('the answers of the room endpoints fit the specification’s schemas', () => {
  const posts: [string, () => string, unknown][] = [
    ['createRoom', () => `${V3}/createRoom`, {}],
    ['joinRoom', () => `${V3}/join/${e('#all:hearth.test')}`, {}],
    ['joinRoomById', () => roomPath(roomId, '/join'), {}],
    ['inviteUser', () => roomPath(roomId, '/invite'), { user_id: '@carol:hearth.test' }],
    ['kick', () => roomPath(roomId, '/kick'), { user_id: '@carol:hearth.test' }],
    ['ban', () => roomPath(roomId, '/ban'), { user_id: '@carol:hearth.test' }],
    ['unban', () => roomPath(roomId, '/unban'), { user_id: '@carol:hearth.test' }],
    ['queryPublicRooms', () => `${V3}/publicRooms`, { filter: { generic_search_term: 'n' } }],
  ]
  const gets: [string, () => string][] = [
    ['getOneRoomEvent', () => roomPath(roomId, `/event/${e(eventId)}`)],
    ['getRoomState', () => roomPath(roomId, '/state')],
    ['getMembersByRoom', () => roomPath(roomId, '/members')],
    ['getJoinedMembersByRoom', () => roomPath(roomId, '/joined_members')],
    ['getRoomEvents', () => roomPath(roomId, '/messages?dir=b&filter=%7B%22lazy_load_members%22%3Atrue%7D')],
    ['getEventContext', () => roomPath(roomId, `/context/${e(eventId)}`)],
    ['roomInitialSync', () => roomPath(roomId, '/initialSync')],
    ['getJoinedRooms', () => `${V3}/joined_rooms`],
    ['getLocalAliases', () => roomPath(roomId, '/aliases')],
    ['getRoomIdByAlias', () => `${V3}/directory/room/${e('#all:hearth.test')}`],
    ['getRoomVisibilityOnDirectory', () => `${V3}/directory/list/room/${e(roomId)}`],
    ['getPublicRooms', () => `${V3}/publicRooms`],
    ['getMutualRooms', () => `/_matrix/client/v1/mutual_rooms?user_id=${e(bob.userId)}`],
  ]

  it.each(posts)('%s', async (operationId, path, body) => {
    await server.register('carol').catch(() => undefined)
    const reply = await alice.api.post(path(), body)
    expect([operationId, reply.status, reply.body]).toEqual([operationId, 200, expect.anything()])
    expect(faultsOfReply(operationId, reply.body)).toEqual([])
  })

  it.each(gets)('%s', async (operationId, path) => {
    const reply = await alice.api.get(path())
    expect([operationId, reply.status]).toEqual([operationId, 200])
    expect(faultsOfReply(operationId, reply.body)).toEqual([])
  })

  it('so do all events of a room’s history and state', async () => {
    const events = [...(await history(alice, roomId)), ...(await allState(alice, roomId))]
    expect(events.length).toBeGreaterThan(20)
    for (const event of events) {
      // What is redacted lacks what its schema asks for.
      if (event.unsigned.redacted_because) continue
      expect([event.type, faultsOfEvent(event)]).toEqual([event.type, []])
    }
  })
})

describe('client-server-api §Room previews', () => {
  it('shows a world-readable room to who is not in it, and no other room', async () => {
    const dave = await server.register('dave')
    expect(await dave.api.get(roomPath(roomId, '/initialSync'))).toMatchObject({ status: 403 })
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' })
    const last = await send(bob, roomId, 'for all')
    const { body, status } = await dave.api.get<{
      messages: { start: string; end: string; chunk: { event_id: string }[] }
      state: unknown[]
      visibility: string
      membership?: string
    }>(roomPath(roomId, '/initialSync'))
    expect(status).toBe(200)
    expect(body.messages.chunk.at(-1)?.event_id).toBe(last)
    expect(body.visibility).toBe('public')
    expect(body.membership).toBeUndefined()
    expect(body.state).toHaveLength((await allState(alice, roomId)).length)
    const newer = await send(bob, roomId, 'newer')
    const onward = (await messages(dave, roomId, { dir: 'f', from: body.messages.end })).body.chunk
    expect(onward.map(({ event_id }) => event_id)).toEqual([newer])
  })
})

describe('client-server-api §Mutual rooms', () => {
  it('lists the rooms in which both are joined', async () => {
    const erin = await server.register('erin')
    const frank = await server.register('frank')
    const rooms = []
    for (let i = 0; i < 3; i += 1) {
      const room = await newRoom(erin, { preset: 'public_chat' })
      await join(frank, room)
      rooms.push(room)
    }
    await leave(frank, rooms[2] ?? '')
    await newRoom(erin, { invite: [frank.userId] })
    const path = '/_matrix/client/v1/mutual_rooms'
    const { body } = await erin.api.get<{ joined: string[]; count: number }>(path, { user_id: frank.userId })
    expect(body.joined.toSorted()).toEqual(rooms.slice(0, 2).toSorted())
    expect(body.count).toBe(2)
    expect((await frank.api.get(path, { user_id: erin.userId })).body.count).toBe(2)
    expect((await erin.api.get(path, { user_id: '@nobody:hearth.test' })).body).toEqual({ joined: [], count: 0 })
    for (const query of [{ user_id: erin.userId }, { user_id: 'frank' }, { user_id: frank.userId, from: 'x' }]) {
      expect(await erin.api.get(path, query)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
    await forget(frank, rooms[2] ?? '')
    expect((await frank.api.get(path, { user_id: erin.userId })).body.count).toBe(2)
  })

  it('come in batches where they are many, whose tokens are good for ten minutes at least', async () => {
    const clock = manualClock()
    await using busy = await startTestServer({ clock })
    const [gina, hugo] = [await busy.register('gina'), await busy.register('hugo')]
    const rooms = await Promise.all(
      Array.from({ length: 103 }, async () => {
        const room = await newRoom(gina, { preset: 'public_chat' })
        await join(hugo, room)
        return room
      }),
    )
    const ask = async (query = {}) =>
      (
        await gina.api.get<{ joined: string[]; count: number; next_batch?: string }>(
          '/_matrix/client/v1/mutual_rooms',
          { user_id: hugo.userId, ...query },
        )
      ).body
    const first = await ask()
    expect([first.joined.length, first.count, typeof first.next_batch]).toEqual([100, 103, 'string'])
    clock.advance(10 * 60_000)
    const second = await ask({ from: first.next_batch })
    expect(second.next_batch).toBeUndefined()
    expect([...first.joined, ...second.joined].toSorted()).toEqual(rooms.toSorted())
  })
})
