import { afterEach, describe, expect, it } from 'vitest'
import { join, newRoom, roomPath, send } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'
import { AppserviceRig } from './rig.ts'

const V3 = '/_matrix/client/v3'
const e = encodeURIComponent

let rig: AppserviceRig
afterEach(() => rig[Symbol.asyncDispose]())

const type = (who: Person, roomId: string, typing: boolean) =>
  who.api.put(roomPath(roomId, `/typing/${e(who.userId)}`), { typing, timeout: 30_000 })

async function portal(): Promise<{ alice: Person; ghost: Person; roomId: string }> {
  const { server, service } = rig
  const alice = await server.register('alice')
  const ghost = await service.newUser(server, '_irc_bob')
  const roomId = await newRoom(alice, { preset: 'public_chat' })
  await join(ghost, roomId)
  return { alice, ghost, roomId }
}

describe('application-service-api §Pushing ephemeral data', () => {
  it('tells typing, receipts and presence of those whom the service shares a room with', async () => {
    rig = await AppserviceRig.start({ receive_ephemeral: true })
    const { service } = rig
    const { alice, roomId } = await portal()
    const stranger = await rig.server.register('stranger')
    const elsewhere = await newRoom(stranger)
    await type(stranger, elsewhere, true)
    await stranger.api.put(`${V3}/presence/${e(stranger.userId)}/status`, { presence: 'online' })

    await type(alice, roomId, true)
    const typing = (userIds: readonly string[]) => ({
      type: 'm.typing',
      room_id: roomId,
      content: { user_ids: userIds },
    })
    await service.until(() => service.ephemeral.length > 0)
    await type(alice, roomId, false)
    const eventId = await send(alice, roomId, 'read this')
    await alice.api.post(roomPath(roomId, `/receipt/m.read.private/${e(eventId)}`), {})
    await alice.api.post(roomPath(roomId, `/receipt/m.read/${e(eventId)}`), { thread_id: 'main' })
    await alice.api.put(`${V3}/presence/${e(alice.userId)}/status`, { presence: 'online', status_msg: 'here' })
    await service.until(() => service.ephemeral.some((event) => event.type === 'm.presence'))
    await service.until(() => service.ephemeral.some((event) => event.type === 'm.receipt'))

    expect(service.ephemeral).toContainEqual(typing([alice.userId]))
    expect(service.ephemeral).toContainEqual(typing([]))
    const receipts = service.ephemeral.filter((event) => event.type === 'm.receipt')
    expect(receipts).toEqual([
      {
        type: 'm.receipt',
        room_id: roomId,
        content: { [eventId]: { 'm.read': { [alice.userId]: { ts: expect.any(Number), thread_id: 'main' } } } },
      },
    ])
    expect(service.ephemeral.find((event) => event.type === 'm.presence')).toMatchObject({
      sender: alice.userId,
      content: { presence: 'online', status_msg: 'here' },
    })
    expect(JSON.stringify(service.ephemeral)).not.toContain('stranger')
  })

  it('tells private receipts of its own users', async () => {
    rig = await AppserviceRig.start({ receive_ephemeral: true })
    const { service } = rig
    const { alice, ghost, roomId } = await portal()
    const eventId = await send(alice, roomId, 'read this')
    await ghost.api.post(roomPath(roomId, `/receipt/m.read.private/${e(eventId)}`), {})
    await service.until(() => service.ephemeral.some((event) => event.type === 'm.receipt'))
    expect(JSON.stringify(service.ephemeral)).toContain('m.read.private')
  })

  it('tells receipts that came while it was away, or that a stop of the server has cut short', async () => {
    rig = await AppserviceRig.start({ receive_ephemeral: true })
    const { service } = rig
    const { alice, roomId } = await portal()
    const other = await newRoom(alice, { preset: 'public_chat' })
    const first = await send(alice, roomId, 'first')
    const second = await send(alice, roomId, 'second')
    await send(alice, other, 'none of its business')
    await service.until(() => service.bodies.includes('second'))
    service.answer = () => ({ status: 503, body: { errcode: 'M_UNKNOWN' } })
    await send(alice, roomId, 'unconfirmed')
    for (const eventId of [first, second]) await alice.api.post(roomPath(roomId, `/receipt/m.read/${e(eventId)}`), {})
    await rig.stopServer()
    service.answer = () => undefined
    await rig.startServer()
    await service.until(() => service.ephemeral.some((event) => event.type === 'm.receipt'))
    const receipts = service.ephemeral.filter((event) => event.type === 'm.receipt')
    expect(receipts.at(-1)).toMatchObject({ room_id: roomId, content: { [second]: { 'm.read': {} } } })
    expect(JSON.stringify(receipts)).not.toContain(other)
  })

  it('speaks MSC2409 to those who ask for it that way, and tells nothing to those who do not ask', async () => {
    rig = await AppserviceRig.start({ 'de.sorunome.msc2409.push_ephemeral': true })
    const { service } = rig
    const { alice, roomId } = await portal()
    const unstable = 'de.sorunome.msc2409.ephemeral'
    await type(alice, roomId, true)
    await service.until(() => service.transactions.some(({ body }) => unstable in body))
    expect(service.ephemeral).toEqual([])
    await rig[Symbol.asyncDispose]()

    rig = await AppserviceRig.start()
    const quiet = await portal()
    await type(quiet.alice, quiet.roomId, true)
    await send(quiet.alice, quiet.roomId, 'said')
    await rig.service.until(() => rig.service.bodies.includes('said'))
    for (const { body } of rig.service.transactions) expect(Object.keys(body)).toEqual(['events'])
  })
})

describe('MSC3202', () => {
  const registration = { receive_ephemeral: true, 'org.matrix.msc3202': true }
  const toDevice = 'de.sorunome.msc2409.to_device'

  it('tells messages to devices of its users once, with the counts of their keys, over a restart too', async () => {
    rig = await AppserviceRig.start(registration)
    const { service } = rig
    const { alice, ghost } = await portal()
    await ghost.api.put(`${V3}/devices/BRIDGE`, {})
    const device = service.as(rig.server, '_irc_bob', 'BRIDGE')
    const uploaded = await device.api.post(`${V3}/keys/upload`, {
      one_time_keys: {
        'signed_curve25519:A': { key: 'abc', signatures: {} },
        'signed_curve25519:B': { key: 'def', signatures: {} },
      },
    })
    expect(uploaded).toMatchObject({ status: 200 })
    const write = (who: Person, to: Person, deviceId: string, text: string) =>
      who.api.put(`${V3}/sendToDevice/m.test/${text}`, { messages: { [to.userId]: { [deviceId]: { text } } } })
    const told = () => service.transactions.flatMap(({ body }) => (body[toDevice] ?? []) as Record<string, unknown>[])
    await write(alice, ghost, 'BRIDGE', 'one')
    await service.until(() => told().length === 1)
    expect(told()[0]).toEqual({
      type: 'm.test',
      sender: alice.userId,
      content: { text: 'one' },
      to_user_id: ghost.userId,
      to_device_id: 'BRIDGE',
    })
    const { body } = service.transactions.find((transaction) => toDevice in transaction.body) ?? { body: undefined }
    expect(body).toMatchObject({
      'org.matrix.msc3202.device_one_time_keys_count': { [ghost.userId]: { BRIDGE: { signed_curve25519: 2 } } },
      'org.matrix.msc3202.device_unused_fallback_key_types': { [ghost.userId]: { BRIDGE: [] } },
    })
    await service.stop()
    await write(alice, ghost, 'BRIDGE', 'two')
    // What people's own clients are to get is not taken from them.
    await write(ghost, alice, alice.deviceId, 'three')
    await rig.stopServer()
    await service.startAgain()
    await rig.startServer()
    await service.until(() => told().length === 2)
    expect(told().map(({ content }) => content)).toEqual([{ text: 'one' }, { text: 'two' }])
  })

  it('tells whose devices changed, of those whom it shares a room with', async () => {
    rig = await AppserviceRig.start(registration)
    const { service } = rig
    const { alice } = await portal()
    const stranger = await rig.server.register('stranger')
    const upload = (who: Person) =>
      who.api.post(`${V3}/keys/upload`, {
        device_keys: {
          user_id: who.userId,
          device_id: who.deviceId,
          algorithms: [],
          keys: { [`ed25519:${who.deviceId}`]: 'key' },
          signatures: {},
        },
      })
    const lists = () =>
      service.transactions.flatMap(({ body }) => {
        const list = body['org.matrix.msc3202.device_lists'] as { changed: string[] } | undefined
        return list?.changed ?? []
      })
    await upload(stranger)
    await upload(alice)
    await service.until(() => lists().includes(alice.userId))
    expect(lists()).not.toContain(stranger.userId)
  })
})
