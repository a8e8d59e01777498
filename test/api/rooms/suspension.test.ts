import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signJson } from '../../../server/protocol/signing.ts'
import { makeSigningKey, type SigningKey } from '../../../server/protocol/signing-key.ts'
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

  it('lets a suspended user log in, sync, verify devices, keep keys and backups, sign out and deactivate', async () => {
    const carol = await server.register('carol')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(carol, roomId)
    const { next_batch: since } = (await carol.api.get<{ next_batch: string }>(`${V3}/sync`)).body
    expect((await suspend(carol, true)).status).toBe(200)

    const other = await server.login('carol')
    await send(alice, roomId, 'you are still told')
    const synced = await other.api.get(`${V3}/sync`, { since })
    expect(JSON.stringify(synced.body)).toContain('you are still told')

    const [master, selfSigning, device] = [1, 2, 3].map((seed) => makeSigningKey(Buffer.alloc(32, seed), 'made'))
    if (!master || !selfSigning || !device) throw new Error('three keys are needed')
    const named = (key: SigningKey, name = key.publicKey): SigningKey => ({ ...key, keyId: `ed25519:${name}` })
    const keyOf = (usage: string, { publicKey }: SigningKey) => ({
      user_id: carol.userId,
      usage: [usage],
      keys: { [`ed25519:${publicKey}`]: publicKey },
    })
    const deviceKeys = signJson(
      {
        user_id: carol.userId,
        device_id: other.deviceId,
        algorithms: ['m.olm.v1.curve25519-aes-sha2'],
        keys: { [`ed25519:${other.deviceId}`]: device.publicKey },
      },
      carol.userId,
      named(device, other.deviceId),
    )
    const signed = signJson(deviceKeys, carol.userId, named(selfSigning))
    const backup = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'abc' } }
    const key = {
      first_message_index: 0,
      forwarded_count: 0,
      is_verified: true,
      session_data: { ephemeral: 'e', ciphertext: 'c', mac: 'm' },
    }
    const request = { messages: { [carol.userId]: { [carol.deviceId]: { from_device: other.deviceId } } } }
    for (const [what, reply] of [
      ['to-device', await other.api.put(`${V3}/sendToDevice/m.key.verification.request/1`, request)],
      ['device keys', await other.api.post(`${V3}/keys/upload`, { device_keys: deviceKeys })],
      [
        'cross-signing',
        await other.api.post(`${V3}/keys/device_signing/upload`, {
          master_key: keyOf('master', master),
          self_signing_key: signJson(keyOf('self_signing', selfSigning), carol.userId, named(master)),
        }),
      ],
      [
        'signatures',
        await other.api.post(`${V3}/keys/signatures/upload`, { [carol.userId]: { [other.deviceId]: signed } }),
      ],
      ['backup', await other.api.post(`${V3}/room_keys/version`, backup)],
      ['backup of a key', await other.api.put(`${V3}/room_keys/keys/${e(roomId)}/session?version=1`, key)],
      ['log out', await carol.api.post(`${V3}/logout`)],
    ] as const) {
      expect({ what, ...reply }).toMatchObject({ what, status: 200 })
      expect(reply.body.failures ?? {}).toEqual({})
    }

    const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'carol' } }
    const proof = { auth: { ...auth, password: 'password of carol' } }
    const third = await server.login('carol')
    expect((await other.api.delete(`${V3}/devices/${third.deviceId}`, proof)).status).toBe(200)
    expect((await third.api.get(`${V3}/account/whoami`)).status).toBe(401)
    expect((await other.api.post(`${V3}/account/deactivate`, proof)).status).toBe(200)
    expect((await other.api.get(`${V3}/account/whoami`)).status).toBe(401)
  })
})
