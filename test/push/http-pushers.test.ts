import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'
import { TestPushGateway } from '../support/push-gateway.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'
import { keysOf, mustSetPusher, pusherBody, roomWithPusher } from './rig.ts'

let server: TestServer
let gateway: TestPushGateway
beforeEach(async () => {
  gateway = await TestPushGateway.start()
  server = await startTestServer()
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
})

describe('push-gateway-api §Homeserver behaviour', () => {
  it('tells all about an event', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway, {
      data: { url: gateway.url, custom: { deep: 1 } },
    })
    await rig.setState(alice, roomId, 'm.room.member', { membership: 'join', displayname: 'Alice' }, alice.userId)
    const eventId = await rig.say(alice, roomId, 'bob!', { 'm.mentions': { user_ids: [bob.userId] } })
    await gateway.until(() => gateway.notifications.length === 1)
    expect(gateway.notifications[0]).toEqual({
      event_id: eventId,
      room_id: roomId,
      type: 'm.room.message',
      sender: alice.userId,
      sender_display_name: 'Alice',
      room_name: 'Kitchen',
      prio: 'high',
      content: { msgtype: 'm.text', body: 'bob!', 'm.mentions': { user_ids: [bob.userId] } },
      counts: { unread: 1 },
      devices: [
        {
          app_id: 'org.example.app',
          pushkey: 'key of the phone',
          pushkey_ts: expect.any(Number),
          data: { custom: { deep: 1 } },
          tweaks: { highlight: true, sound: 'default' },
        },
      ],
    })
  })

  it('tells no more than the ID where the format is event_id_only', async () => {
    const data = { url: gateway.url, format: 'event_id_only' }
    const { alice, bob, roomId } = await roomWithPusher(server, gateway, { data })
    const eventId = await rig.say(alice, roomId, 'secret', { 'm.mentions': { user_ids: [bob.userId] } })
    await gateway.until(() => gateway.notifications.length === 1)
    const { devices, ...rest } = gateway.notifications[0] ?? { devices: [] }
    expect(rest).toEqual({ event_id: eventId, room_id: roomId, prio: 'high', counts: { unread: 1 } })
    expect(devices).toMatchObject([{ pushkey: 'key of the phone', data: { format: 'event_id_only' }, tweaks: {} }])
  })

  it('tells of an invitation, of which the user is the target', async () => {
    const { alice, bob } = await roomWithPusher(server, gateway)
    const roomId = await rig.createRoom(alice, { preset: 'private_chat' })
    await rig.invite(alice, roomId, bob)
    await gateway.until(() => gateway.notifications.length === 1)
    expect(gateway.notifications[0]).toMatchObject({ room_id: roomId, type: 'm.room.member', user_is_target: true })
  })

  it('is silent about own events, about what rules do not notify of, and about ignored users', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway)
    const carol = await server.register('carol')
    await rig.join(carol, roomId)
    await rig.setAccountData(bob, 'm.ignored_user_list', { ignored_users: { [carol.userId]: {} } })
    await rig.say(bob, roomId, 'own')
    await rig.sendEvent(alice, roomId, 'm.room.message', { msgtype: 'm.notice', body: 'beep' })
    await rig.say(carol, roomId, 'ignored')
    const elsewhere = await rig.createRoom(carol, {})
    await rig.invite(carol, elsewhere, bob)
    await rig.say(alice, roomId, 'last')
    await gateway.until(() => gateway.bodies.includes('last'))
    expect(gateway.bodies).toEqual(['last'])
  })

  it('counts what is unread in all rooms, and tells when it becomes less by reading elsewhere', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway)
    const second = await rig.createRoom(alice)
    await rig.join(bob, second)
    await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, second, 'two')
    const three = await rig.say(alice, roomId, 'three')
    await gateway.until(() => gateway.bodies.length === 3)
    expect(gateway.unread).toBe(3)
    await rig.read(bob, second, two)
    await gateway.until(() => gateway.unread === 2)
    await rig.read(bob, roomId, three)
    await gateway.until(() => gateway.unread === 0)
    await rig.say(alice, roomId, 'four')
    await gateway.until(() => gateway.unread === 1)
    // Who answers has read.
    await rig.say(bob, roomId, 'five')
    await gateway.until(() => gateway.unread === 0)
    const { devices, ...rest } = gateway.notifications.at(-1) ?? { devices: [] }
    // "Counts whose value is zero should be omitted."
    expect(rest).toEqual({ counts: {}, prio: 'low' })
    expect(devices).toHaveLength(1)
  })

  it('tells when a change of the rules takes away what was unread', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway)
    await rig.say(alice, roomId, 'one')
    await gateway.until(() => gateway.unread === 1)
    const rule = `/_matrix/client/v3/pushrules/global/room/${encodeURIComponent(roomId)}`
    expect((await bob.api.put(rule, { actions: [] })).status).toBe(200)
    await gateway.until(() => gateway.unread === 0)
  })

  it('goes by threads: who reads one has not read the others', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway)
    const root = await rig.say(alice, roomId, 'root')
    const reply = await rig.sayIn(alice, roomId, root, 'in the thread')
    await gateway.until(() => gateway.unread === 2)
    await rig.read(bob, roomId, reply, { threadId: root })
    await gateway.until(() => gateway.unread === 1)
    await rig.read(bob, roomId, root, { threadId: 'main' })
    await gateway.until(() => gateway.unread === 0)
  })

  it('tells when a redaction takes away what was unread', async () => {
    const { alice, roomId } = await roomWithPusher(server, gateway)
    const one = await rig.say(alice, roomId, 'one')
    await gateway.until(() => gateway.unread === 1)
    await rig.redact(alice, roomId, one)
    await gateway.until(() => gateway.unread === 0)
  })

  it('stops telling a push key that the gateway rejects, and removes its pusher', async () => {
    const { alice, bob, roomId } = await roomWithPusher(server, gateway)
    await mustSetPusher(bob, pusherBody(gateway.url, { pushkey: 'good' }))
    gateway.answer = () => ({ status: 200, body: { rejected: ['key of the phone', 'key of a stranger'] } })
    await rig.say(alice, roomId, 'one')
    await gateway.until(() => gateway.notifications.length === 2)
    const told = (key: string): number =>
      gateway.notifications.filter(({ devices }) => devices[0]?.pushkey === key).length
    await rig.say(alice, roomId, 'two')
    await gateway.until(() => told('good') === 2)
    expect(told('key of the phone')).toBe(1)
    expect(await keysOf(bob)).toEqual(['good'])
  })

  it('goes only to addresses that outgoing requests may go to', async () => {
    await using strict = await startTestServer({ config: { outbound: { allow_addresses: [] } } })
    const { alice, roomId } = await roomWithPusher(strict, gateway)
    await rig.say(alice, roomId, 'one')
    await rig.sync(alice)
    await expect.poll(() => strict.complaints.map(({ event }) => event)).toContain('push.not-delivered')
    expect(gateway.requests).toEqual([])
  })
})

describe('push-gateway-api §Homeserver behaviour, when the gateway is away', () => {
  /** Time goes on while the server waits for it. */
  const untilWithTime = (clock: ManualClock, condition: () => boolean) =>
    expect
      .poll(
        () => {
          clock.advance(1_000)
          return condition()
        },
        { timeout: 15_000 },
      )
      .toBe(true)

  it('tries again, in order, and leaves out what was read meanwhile', async () => {
    const clock = manualClock()
    await using own = await startTestServer({ clock })
    const { alice, bob, roomId } = await roomWithPusher(own, gateway)
    const second = await rig.createRoom(alice)
    await rig.join(bob, second)
    gateway.answer = () => ({ status: 503 })
    await rig.say(alice, roomId, 'one')
    await gateway.until(() => gateway.requests.length === 1)
    const two = await rig.say(alice, second, 'two')
    await rig.say(alice, roomId, 'three')
    await rig.say(alice, roomId, 'four')
    await rig.read(bob, second, two)
    gateway.requests.length = 0
    gateway.answer = () => ({ status: 200, body: { rejected: [] } })
    await untilWithTime(clock, () => gateway.bodies.includes('four'))
    expect(gateway.bodies).toEqual(['one', 'three', 'four'])
    expect(gateway.unread).toBe(3)
  })

  it('gives an event up after a day, and keeps to the newest of many', async () => {
    const clock = manualClock()
    await using own = await startTestServer({ clock })
    const { alice, roomId } = await roomWithPusher(own, gateway)
    gateway.answer = () => ({ status: 503 })
    await rig.say(alice, roomId, 'old')
    await gateway.until(() => gateway.requests.length === 1)
    clock.advance(25 * 60 * 60_000)
    for (let i = 0; i < 60; i += 1) await rig.say(alice, roomId, `m${i}`)
    gateway.requests.length = 0
    gateway.answer = () => ({ status: 200, body: { rejected: [] } })
    await untilWithTime(clock, () => gateway.bodies.includes('m59'))
    expect(gateway.bodies).toEqual(Array.from({ length: 50 }, (_, i) => `m${i + 10}`))
  })

  it('goes on after a restart, without what it had told', async () => {
    const openStore = keptStore()
    const first = await startTestServer({ openStore })
    const { alice, roomId } = await roomWithPusher(first, gateway)
    await rig.say(alice, roomId, 'one')
    await gateway.until(() => gateway.bodies.length === 1)
    gateway.answer = () => ({ status: 503 })
    await rig.say(alice, roomId, 'two')
    await gateway.until(() => gateway.requests.length === 2)
    await first[Symbol.asyncDispose]()
    gateway.requests.length = 0
    gateway.answer = () => ({ status: 200, body: { rejected: [] } })
    await using second = await startTestServer({ openStore })
    await rig.say({ ...alice, api: second.api(alice.accessToken) }, roomId, 'three')
    await gateway.until(() => gateway.bodies.includes('three'))
    expect(gateway.bodies).toEqual(['two', 'three'])
    expect(gateway.unread).toBe(3)
  })
})
