import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../../support/admin.ts'
import { keptStore } from '../../support/kept-store.ts'
import {
  allState,
  bodies,
  history,
  join,
  leave,
  membershipOf,
  newRoom,
  roomPath,
  setState,
} from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const e = encodeURIComponent
const openStore = keptStore()
let server: TestServer
let admin: Person
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer({ openStore })
  admin = await registerAdmin(server, 'admin')
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const notify = (by: Person, userId: string, body: string, rest = {}) =>
  by.api.post<{ room_id: string; event_id: string; errcode: string }>('/_hearth/client/v1/server_notices', {
    user_id: userId,
    body,
    ...rest,
  })
const sync = async (by: Person) =>
  (await by.api.get<{ rooms?: { invite?: Record<string, unknown> } }>('/_matrix/client/v3/sync')).body

describe('client-server-api §Server Notices', () => {
  it('invites a user to the one room of their notices, which has the tag', async () => {
    const { status, body } = await notify(admin, alice.userId, 'Backup tonight')
    expect(status).toBe(200)
    const { room_id: roomId } = body
    expect(Object.keys((await sync(alice)).rooms?.invite ?? {})).toEqual([roomId])
    const tags = `/_matrix/client/v3/user/${e(alice.userId)}/rooms/${e(roomId)}/tags`
    expect((await alice.api.get(tags)).body).toEqual({ tags: { 'm.server_notice': {} } })

    const cannot = { status: 403, body: { errcode: 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM' } }
    expect(await leave(alice, roomId)).toMatchObject(cannot)
    expect(await setState(alice, roomId, 'm.room.member', { membership: 'leave' }, alice.userId)).toMatchObject(cannot)

    expect((await join(alice, roomId)).status).toBe(200)
    expect((await notify(admin, alice.userId, 'Done')).body.room_id).toBe(roomId)
    expect(await bodies(alice, roomId)).toEqual(['Backup tonight', 'Done'])
    const [first] = (await history(alice, roomId)).filter(({ type }) => type === 'm.room.message')
    expect(first).toMatchObject({
      sender: '@_server:hearth.test',
      content: { msgtype: 'm.server_notice', server_notice_type: expect.any(String) },
    })
    const state = await allState(alice, roomId)
    expect(state.find(({ type }) => type === 'm.room.create')?.content['m.federate']).toBe(false)
    const send = alice.api.put(roomPath(roomId, '/send/m.room.message/1'), { msgtype: 'm.text', body: 'hello?' })
    expect((await send).status).toBe(403)
  })

  it('invites again who has left, also after a restart', async () => {
    const { room_id: roomId } = (await notify(admin, bob.userId, 'one')).body
    await join(bob, roomId)
    expect((await leave(bob, roomId)).status).toBe(200)
    await server[Symbol.asyncDispose]()
    server = await startTestServer({ openStore })
    for (const person of [admin, alice, bob]) Object.assign(person, { api: server.api(person.accessToken) })
    expect((await notify(admin, bob.userId, 'two')).body.room_id).toBe(roomId)
    expect((await join(bob, roomId)).status).toBe(200)
    expect(await membershipOf(bob, roomId, bob)).toBe('join')
    expect(await bodies(bob, roomId)).toEqual(['one', 'two'])
  })

  it('is for administrators, to users who exist', async () => {
    expect(await notify(alice, bob.userId, 'hi')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await notify(admin, '@nobody:hearth.test', 'hi')).toMatchObject({ status: 404 })
    expect(await notify(admin, '@someone:else.test', 'hi')).toMatchObject({ status: 404 })
    const limit = { server_notice_type: 'm.server_notice.usage_limit_reached' }
    expect(await notify(admin, alice.userId, 'full', limit)).toMatchObject({
      status: 400,
      body: { errcode: 'M_MISSING_PARAM' },
    })
    await expect(server.register('_server')).rejects.toThrow()
    await expect(registerAdmin(server, '_server')).rejects.toThrow()
  })

  it('lets other invites be turned down as ever', async () => {
    const roomId = await newRoom(bob, { invite: [alice.userId] })
    expect((await leave(alice, roomId)).status).toBe(200)
  })
})
