import { describe, expect, it } from 'vitest'
import { manualClock } from '../../support/manual-clock.ts'
import { type Person, startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

/** A sync that waits for news, or a very long time. */
const wait = (who: Person, since: string, more: Record<string, string | number> = {}): Promise<rig.SyncBody> =>
  rig.sync(who, { since, timeout: 60_000, ...more })

describe('client-server-api §Syncing: long polling', () => {
  it('is answered with empty hands when its time is over, and not before', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const alice = await server.register('alice')
    const { next_batch: since } = await rig.sync(alice)
    const waiting = wait(alice, since)
    expect(await rig.isPending(waiting, alice)).toBe(true)
    clock.advance(59_999)
    expect(await rig.isPending(waiting, alice)).toBe(true)
    clock.advance(1)
    const body = await waiting
    expect(body.rooms).toBeUndefined()
    expect(await rig.sync(alice, { since: body.next_batch })).toMatchObject({ next_batch: expect.any(String) })
  })

  it('wakes those whom an event concerns, and nobody else', async () => {
    await using server = await startTestServer()
    const [alice, bob, carol] = [
      await server.register('alice'),
      await server.register('bob'),
      await server.register('carol'),
    ]
    const shared = await rig.createRoom(alice)
    await rig.join(bob, shared)
    await rig.createRoom(carol)
    const sinces = [alice, bob, carol].map(async (who) => (await rig.sync(who)).next_batch)
    const [a = '', b = '', c = ''] = await Promise.all(sinces)
    const waiting = { alice: wait(alice, a), bob: wait(bob, b), carol: wait(carol, c) }
    for (const sync of Object.values(waiting)) expect(await rig.isPending(sync, alice)).toBe(true)
    await rig.say(alice, shared, 'news')
    expect(rig.bodies(rig.joined(await waiting.alice, shared))).toEqual(['news'])
    expect(rig.bodies(rig.joined(await waiting.bob, shared))).toEqual(['news'])
    expect(await rig.isPending(waiting.carol, alice)).toBe(true)
    await rig.invite(alice, shared, carol)
    expect(Object.keys((await waiting.carol).rooms?.invite ?? {})).toEqual([shared])
  })

  it('goes on waiting where the filter lets nothing of the news through', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const filter = rig.filterText({ room: { timeline: { types: ['m.room.message'] } } })
    const { next_batch: since } = await rig.sync(alice, { filter })
    const waiting = wait(alice, since, { filter })
    await rig.isPending(waiting, alice)
    await rig.sendEvent(bob, roomId, 'org.example.noise', {})
    expect(await rig.isPending(waiting, alice)).toBe(true)
    await rig.say(bob, roomId, 'signal')
    const body = await waiting
    expect(rig.bodies(rig.joined(body, roomId))).toEqual(['signal'])
  })

  it('wakes for account data, to-device messages to this device, and receipts', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const phone = await server.login('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const said = await rig.say(alice, roomId, 'read me')

    let { next_batch: since } = await rig.sync(alice)
    let waiting = wait(alice, since)
    await rig.isPending(waiting, alice)
    await rig.setAccountData(phone, 'org.example.x', { x: 1 })
    let body = await waiting
    expect(body.account_data?.events).toHaveLength(1)

    since = body.next_batch
    waiting = wait(alice, since)
    const onPhone = wait(phone, since)
    await rig.isPending(onPhone, alice)
    await rig.sendToDevice(bob, alice, { hello: 1 })
    body = await waiting
    expect(body.to_device?.events).toHaveLength(1)
    expect(await rig.isPending(onPhone, alice)).toBe(true)

    waiting = wait(alice, body.next_batch)
    await rig.isPending(waiting, alice)
    await rig.read(bob, roomId, said)
    expect(rig.find(rig.joined(await waiting, roomId), 'm.receipt')).toBeDefined()
    expect(rig.find(rig.joined(await onPhone, roomId), 'm.receipt')).toBeDefined()
  })

  it('gives several events of one moment in one answer', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { next_batch: since } = await rig.sync(alice)
    const waiting = wait(alice, since)
    await rig.isPending(waiting, alice)
    const roomId = await rig.createRoom(alice)
    const room = rig.mustJoined(await waiting, roomId)
    expect(room.timeline.events.length + (room.state?.events.length ?? 0)).toBeGreaterThan(5)
  })

  it('answers at once with what there is when the server stops', async () => {
    const server = await startTestServer()
    const alice = await server.register('alice')
    const { next_batch: since } = await rig.sync(alice)
    const waiting = wait(alice, since)
    await rig.isPending(waiting, alice)
    const stopped = server[Symbol.asyncDispose]()
    expect(await waiting).toMatchObject({ next_batch: expect.any(String) })
    await stopped
  })

  it('answers the oldest where a device holds too many open', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { next_batch: since } = await rig.sync(alice)
    const oldest = wait(alice, since)
    await rig.isPending(oldest, alice)
    const others = Array.from({ length: 5 }, () => wait(alice, since))
    expect((await oldest).next_batch).toBeTypeOf('string')
    await rig.setAccountData(alice, 'org.example.x', { x: 1 })
    await Promise.all(others)
  })

  it('lets go of a client that went away', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { next_batch: since } = await rig.sync(alice)
    const gone = new AbortController()
    const path = `/_matrix/client/v3/sync?since=${since}&timeout=60000&set_presence=offline`
    const request = alice.api.fetch(path, { signal: gone.signal })
    await rig.isPending(request, alice)
    gone.abort()
    await expect(request).rejects.toThrow()
    const roomId = await rig.createRoom(alice)
    expect(rig.joined(await rig.sync(alice, { since }), roomId)).toBeDefined()
    expect(server.complaints).toEqual([])
  })
})
