import { describe, expect, it } from 'vitest'
import { keptStore } from '../../support/kept-store.ts'
import { type Person, startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

const notes = (body: rig.SyncBody): readonly unknown[] => (body.to_device?.events ?? []).map(({ content }) => content.n)

describe('client-server-api §Send-to-Device messaging, Extensions to /sync', () => {
  it('gives messages again until a since shows that they arrived', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const { next_batch: since } = await rig.sync(alice)
    await rig.sendToDevice(bob, alice, { n: 1 })
    const first = await rig.sync(alice, { since })
    expect(first.to_device?.events).toEqual([{ type: 'org.example.note', sender: bob.userId, content: { n: 1 } }])
    expect(notes(await rig.sync(alice, { since }))).toEqual([1])
    await rig.sendToDevice(bob, alice, { n: 2 })
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(notes(second)).toEqual([2])
    expect(notes(await rig.sync(alice, { since: second.next_batch }))).toEqual([])
    expect(notes(await rig.sync(alice))).toEqual([])
  })

  it('tells requests with the same transaction ID apart by the type that their path names', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const { next_batch: since } = await rig.sync(alice)
    for (const [type, n] of [
      ['org.example.a', 1],
      ['org.example.a', 2],
      ['org.example.b', 3],
    ] as const) {
      const messages = { [alice.userId]: { [alice.deviceId]: { n } } }
      await bob.api.put(`/_matrix/client/v3/sendToDevice/${type}/same`, { messages })
    }
    expect(notes(await rig.sync(alice, { since }))).toEqual([1, 3])
  })

  it('gives many in portions, in order and without loss, and does not wait between them', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const { next_batch } = await rig.sync(alice)
    for (let n = 0; n < 250; n += 1) await rig.sendToDevice(bob, alice, { n })
    const got: unknown[] = []
    let since = next_batch
    for (let portion = 0; portion < 3; portion += 1) {
      const body = await rig.sync(alice, { since, timeout: 60_000 })
      expect(notes(body).length).toBeLessThanOrEqual(100)
      got.push(...notes(body))
      since = body.next_batch
    }
    expect(got).toEqual(Array.from({ length: 250 }, (_, n) => n))
    expect(notes(await rig.sync(alice, { since }))).toEqual([])
  })

  it('keeps messages over a restart', async () => {
    const openStore = keptStore()
    let token = ''
    let since = ''
    {
      await using server = await startTestServer({ openStore })
      const alice = await server.register('alice')
      const bob = await server.register('bob')
      since = (await rig.sync(alice)).next_batch
      await rig.sendToDevice(bob, alice, { n: 1 })
      token = alice.accessToken
    }
    await using server = await startTestServer({ openStore })
    expect(notes(await rig.sync({ api: server.api(token) }, { since }))).toEqual([1])
  })
})

const keysChanges = async (who: Person, from: rig.SyncBody, to: rig.SyncBody) => {
  const query = { from: from.next_batch, to: to.next_batch }
  return (await who.api.get('/_matrix/client/v3/keys/changes', query)).body
}

const uploadKeys = (who: Person) =>
  who.api.post('/_matrix/client/v3/keys/upload', {
    device_keys: {
      user_id: who.userId,
      device_id: who.deviceId,
      algorithms: ['m.olm.v1.curve25519-aes-sha2'],
      keys: { [`curve25519:${who.deviceId}`]: 'a'.repeat(43), [`ed25519:${who.deviceId}`]: 'b'.repeat(43) },
      signatures: { [who.userId]: { [`ed25519:${who.deviceId}`]: 'c'.repeat(86) } },
    },
  })

describe('client-server-api §End-to-end encryption, Extensions to /sync', () => {
  const encrypted = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }

  it('names users who share a room and changed their devices, the user among them, and no strangers', async () => {
    await using server = await startTestServer()
    const [alice, bob, carol] = [
      await server.register('alice'),
      await server.register('bob'),
      await server.register('carol'),
    ]
    const roomId = await rig.createRoom(alice, { initial_state: [encrypted] })
    await rig.join(bob, roomId)
    const { next_batch: since, device_lists: atFirst } = await rig.sync(alice)
    expect(atFirst).toBeUndefined()
    const waiting = rig.sync(alice, { since, timeout: 60_000 })
    await rig.isPending(waiting, alice)
    await uploadKeys(carol)
    expect(await rig.isPending(waiting, alice)).toBe(true)
    await uploadKeys(bob)
    const body = await waiting
    expect(body.device_lists).toEqual({ changed: [bob.userId], left: [] })
    await uploadKeys(alice)
    expect((await rig.sync(alice, { since: body.next_batch })).device_lists?.changed).toEqual([alice.userId])
  })

  it('names users who renamed a device with keys: the name comes with the keys', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice, { initial_state: [encrypted] })
    await rig.join(bob, roomId)
    await uploadKeys(bob)
    const { next_batch: since } = await rig.sync(alice)
    const waiting = rig.sync(alice, { since, timeout: 60_000 })
    await bob.api.put(`/_matrix/client/v3/devices/${bob.deviceId}`, { display_name: 'Attic' })
    expect((await waiting).device_lists).toEqual({ changed: [bob.userId], left: [] })
  })

  it('names users who come into a room, and those who share none any longer', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice, { initial_state: [encrypted] })
    const plain = await rig.createRoom(alice)
    const first = await rig.sync(alice)
    await rig.join(bob, plain)
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(second.device_lists).toEqual({ changed: [bob.userId], left: [] })
    await rig.join(bob, roomId)
    const third = await rig.sync(alice, { since: second.next_batch })
    expect(third.device_lists).toEqual({ changed: [bob.userId], left: [] })
    await rig.leave(bob, plain)
    const fourth = await rig.sync(alice, { since: third.next_batch })
    expect(fourth.device_lists).toBeUndefined()
    await rig.leave(bob, roomId)
    const fifth = await rig.sync(alice, { since: fourth.next_batch })
    expect(fifth.device_lists).toEqual({ changed: [], left: [bob.userId] })
    expect(await keysChanges(alice, first, second)).toEqual({ changed: [], left: [bob.userId] })
    expect(await keysChanges(alice, fifth, fifth)).toEqual({ changed: [], left: [] })
  })

  it('names all members when the user joins a room, or a room becomes encrypted, or they leave it', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    const first = await rig.sync(bob)
    await rig.join(bob, roomId)
    const second = await rig.sync(bob, { since: first.next_batch })
    expect(second.device_lists).toEqual({ changed: [alice.userId], left: [] })
    await rig.setState(alice, roomId, 'm.room.encryption', encrypted.content)
    const third = await rig.sync(bob, { since: second.next_batch })
    expect(third.device_lists).toEqual({ changed: [alice.userId], left: [] })
    expect(await keysChanges(bob, first, third)).toEqual({ changed: [alice.userId], left: [] })
    await rig.leave(bob, roomId)
    const fourth = await rig.sync(bob, { since: third.next_batch })
    expect(fourth.device_lists).toEqual({ changed: [], left: [alice.userId] })
    expect(await keysChanges(bob, third, fourth)).toEqual({ changed: [], left: [alice.userId] })
    await rig.join(bob, roomId)
    expect((await rig.sync(bob, { since: fourth.next_batch })).device_lists?.changed).toEqual([alice.userId])
  })

  it('names in /keys/changes who changed devices since a sync, and refuses what is no token', async () => {
    await using server = await startTestServer()
    const [alice, bob, carol] = [
      await server.register('alice'),
      await server.register('bob'),
      await server.register('carol'),
    ]
    await rig.join(bob, await rig.createRoom(alice))
    const before = await rig.sync(alice)
    await uploadKeys(bob)
    await uploadKeys(carol)
    const after = await rig.sync(alice, { since: before.next_batch })
    expect(await keysChanges(alice, before, after)).toEqual({ changed: [bob.userId], left: [] })
    expect(await keysChanges(alice, after, after)).toEqual({ changed: [], left: [] })
    const wrong = { from: 'yesterday', to: after.next_batch }
    expect(await alice.api.get('/_matrix/client/v3/keys/changes', wrong)).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })

  it('counts one-time keys and names unused fallback keys in every answer', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const key = {
      key: 'a'.repeat(43),
      signatures: { [alice.userId]: { [`ed25519:${alice.deviceId}`]: 'c'.repeat(86) } },
    }
    await alice.api.post('/_matrix/client/v3/keys/upload', {
      one_time_keys: { 'signed_curve25519:AAAAAQ': key },
      fallback_keys: { 'signed_curve25519:AAAAAg': { ...key, fallback: true } },
    })
    const { next_batch: since } = await rig.sync(alice)
    expect(await rig.sync(alice, { since })).toMatchObject({
      device_one_time_keys_count: { signed_curve25519: 1 },
      device_unused_fallback_key_types: ['signed_curve25519'],
    })
  })
})
