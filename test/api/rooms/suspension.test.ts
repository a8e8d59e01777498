import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../../support/admin.ts'
import { act, bodies, join, knock, leave, newRoom, roomPath, send, setState } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const e = encodeURIComponent
const V3 = '/_matrix/client/v3'
let server: TestServer
let admin: Person
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer()
  admin = await registerAdmin(server, 'admin')
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const suspend = (person: Person, suspended: boolean) =>
  admin.api.put(`/_matrix/client/v1/admin/suspend/${e(person.userId)}`, { suspended })

describe('client-server-api §Account suspension', () => {
  it('lets a suspended user read, leave, decline and take back what they said, and do nothing to rooms or others', async () => {
    const own = await newRoom(bob, { preset: 'public_chat' })
    await join(alice, own)
    const others = await send(alice, own, 'from alice')
    const said = await send(bob, own, 'from bob')
    const open = await newRoom(alice, { preset: 'public_chat' })
    const knockable = await newRoom(alice, {
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
    })
    const invited = await newRoom(alice, { invite: [bob.userId] })
    const declined = await newRoom(alice, { invite: [bob.userId] })
    await suspend(bob, true)

    const redact = (eventId: string) => bob.api.put(roomPath(own, `/redact/${e(eventId)}/r${eventId}`), {})
    const refused = { status: 403, body: { errcode: 'M_USER_SUSPENDED' } }
    for (const [what, reply] of [
      ['join', await join(bob, open)],
      ['join by ID', await bob.api.post(roomPath(open, '/join'), {})],
      ['accept an invite', await join(bob, invited)],
      ['accept it by its state', await setState(bob, invited, 'm.room.member', { membership: 'join' }, bob.userId)],
      ['knock', await knock(bob, knockable)],
      ['create', await bob.api.post(`${V3}/createRoom`, {})],
      ['invite', await act(bob, 'invite', own, admin)],
      ['kick', await act(bob, 'kick', own, alice)],
      ['ban', await act(bob, 'ban', own, alice)],
      ['unban', await act(bob, 'unban', own, alice)],
      ['send', await bob.api.put(roomPath(own, '/send/m.room.message/1'), { msgtype: 'm.text', body: 'no' })],
      ['set state', await setState(bob, own, 'm.room.name', { name: 'no' })],
      ['upgrade', await bob.api.post(roomPath(own, '/upgrade'), { new_version: '12' })],
      ['redact others', await redact(others)],
      ['redact others by /send', await bob.api.put(roomPath(own, '/send/m.room.redaction/2'), { redacts: others })],
      ['name a room', await bob.api.put(`${V3}/directory/room/${e('#no:hearth.test')}`, { room_id: own })],
      ['list a room', await bob.api.put(`${V3}/directory/list/room/${e(own)}`, { visibility: 'public' })],
      [
        'delay',
        await bob.api.put(
          `/_matrix/client/unstable/org.matrix.msc4140/rooms/${e(own)}/delayed_event/m.room.message/3`,
          { delay_ms: 1, content: {} },
        ),
      ],
    ] as const) {
      expect({ what, ...reply }).toMatchObject({ what, ...refused })
    }

    expect(await bodies(bob, own)).toEqual(['from alice', 'from bob'])
    expect((await redact(said)).status).toBe(200)
    expect((await leave(bob, declined)).status).toBe(200)
    expect((await setState(bob, invited, 'm.room.member', { membership: 'leave' }, bob.userId)).status).toBe(200)
    expect((await leave(bob, own)).status).toBe(200)

    await suspend(bob, false)
    expect((await join(bob, open)).status).toBe(200)
    await send(bob, open, 'back')
    expect(await bodies(alice, open)).toEqual(['back'])
  })
})
