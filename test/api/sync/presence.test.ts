import { describe, expect, it } from 'vitest'
import { keptStore } from '../../support/kept-store.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

const statusPath = (who: Person): string => `/_matrix/client/v3/presence/${encodeURIComponent(who.userId)}/status`
const presenceOf = (body: rig.SyncBody, who: Person): Record<string, unknown> | undefined =>
  body.presence?.events.find(({ sender }) => sender === who.userId)?.content

async function twoInARoom(server: TestServer): Promise<{ alice: Person; bob: Person; roomId: string }> {
  const alice = await server.register('alice')
  const bob = await server.register('bob')
  const roomId = await rig.createRoom(alice)
  await rig.join(bob, roomId)
  return { alice, bob, roomId }
}

describe('client-server-api §Presence', () => {
  it('takes whoever syncs for online, unless told otherwise, and offline some time after', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const { alice, bob } = await twoInARoom(server)
    const first = await rig.sync(alice)
    expect(presenceOf(first, bob)).toBeUndefined()
    await rig.sync(bob, { set_presence: 'online' })
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(presenceOf(second, bob)).toEqual({ presence: 'online', last_active_ago: 0, currently_active: true })
    await rig.sync(bob, { set_presence: 'offline' })
    expect((await rig.sync(alice, { since: second.next_batch })).presence).toBeUndefined()
    clock.advance(40_000)
    const third = await rig.sync(alice, { since: second.next_batch })
    expect(presenceOf(third, bob)).toEqual({ presence: 'offline', last_active_ago: 40_000 })
  })

  it('shows who does nothing for a while as unavailable, and as online when they send something', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const { alice, bob, roomId } = await twoInARoom(server)
    let since = (await rig.sync(alice)).next_batch
    for (let minute = 0; minute < 6; minute += 1) {
      await rig.sync(bob, { set_presence: 'online' })
      clock.advance(25_000)
      await rig.sync(bob, { set_presence: 'online' })
      clock.advance(29_000)
      await rig.sync(bob, { set_presence: 'online' })
      clock.advance(6_000)
    }
    const idle = await rig.sync(alice, { since })
    expect(presenceOf(idle, bob)).toMatchObject({ presence: 'unavailable' })
    since = idle.next_batch
    await rig.say(bob, roomId, 'back')
    expect(presenceOf(await rig.sync(alice, { since }), bob)).toMatchObject({
      presence: 'online',
      currently_active: true,
    })
  })

  it('tells the time of the last activity as it is, and is silent about more of it while it goes on', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const { alice, bob, roomId } = await twoInARoom(server)
    const asked = async () => (await alice.api.get(statusPath(bob))).body
    await rig.sync(bob, { set_presence: 'online' })
    await rig.say(bob, roomId, 'hello')
    const { next_batch: since, ...first } = await rig.sync(alice)
    const active = { presence: 'online', currently_active: true }
    expect(presenceOf({ next_batch: since, ...first }, bob)).toEqual({ ...active, last_active_ago: 0 })
    clock.advance(20_000)
    expect(await asked()).toEqual({ ...active, last_active_ago: 20_000 })
    expect(presenceOf(await rig.sync(alice), bob)).toEqual({ ...active, last_active_ago: 20_000 })
    await rig.say(bob, roomId, 'still here')
    const quiet = await rig.sync(alice, { since })
    expect(rig.bodies(rig.mustJoined(quiet, roomId))).toEqual(['still here'])
    expect(presenceOf(quiet, bob)).toBeUndefined()
    expect(await asked()).toEqual({ ...active, last_active_ago: 0 })
    expect(presenceOf(await rig.sync(alice), bob)).toEqual({ ...active, last_active_ago: 0 })
  })

  it('is set by hand with a message, and read by those who share a room alone', async () => {
    await using server = await startTestServer()
    const { alice, bob } = await twoInARoom(server)
    const carol = await server.register('carol')
    const { next_batch: since } = await rig.sync(alice)
    const waiting = rig.sync(alice, { since, timeout: 60_000 })
    await rig.isPending(waiting, alice)
    const set = await bob.api.put(statusPath(bob), { presence: 'unavailable', status_msg: 'Gardening' })
    expect(set.status).toBe(200)
    expect(presenceOf(await waiting, bob)).toMatchObject({ presence: 'unavailable', status_msg: 'Gardening' })
    expect((await alice.api.get(statusPath(bob))).body).toMatchObject({
      presence: 'unavailable',
      status_msg: 'Gardening',
      last_active_ago: expect.any(Number),
    })
    expect((await bob.api.get(statusPath(bob))).status).toBe(200)
    expect(await carol.api.get(statusPath(bob))).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const forAnother = await alice.api.put(statusPath(bob), { presence: 'online' })
    expect(forAnother).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect((await bob.api.put(statusPath(bob), { presence: 'asleep' })).status).toBe(400)
    expect((await rig.trySync(bob, { set_presence: 'asleep' })).status).toBe(400)
  })

  it('tells after a restart that those who were online are not, and keeps their message', async () => {
    const openStore = keptStore()
    let since = ''
    let token = ''
    let bobId = ''
    {
      await using server = await startTestServer({ openStore })
      const { alice, bob } = await twoInARoom(server)
      await bob.api.put(statusPath(bob), { presence: 'online', status_msg: 'Reading' })
      const body = await rig.sync(alice)
      expect(presenceOf(body, bob)).toMatchObject({ presence: 'online' })
      since = body.next_batch
      token = alice.accessToken
      bobId = bob.userId
    }
    await using server = await startTestServer({ openStore })
    const body = await rig.sync({ api: server.api(token) }, { since })
    expect(body.presence?.events).toEqual([
      {
        type: 'm.presence',
        sender: bobId,
        content: { presence: 'offline', status_msg: 'Reading', last_active_ago: expect.any(Number) },
      },
    ])
  })

  it('brings a changed display name and avatar', async () => {
    await using server = await startTestServer()
    const { alice, bob } = await twoInARoom(server)
    await rig.sync(bob, { set_presence: 'online' })
    const { next_batch: since } = await rig.sync(alice)
    const profile = `/_matrix/client/v3/profile/${encodeURIComponent(bob.userId)}`
    await bob.api.put(`${profile}/displayname`, { displayname: 'Bob' })
    await expect
      .poll(async () => presenceOf(await rig.sync(alice, { since }), bob))
      .toMatchObject({ presence: 'online', displayname: 'Bob' })
    expect((await alice.api.get(statusPath(bob))).body).not.toHaveProperty('displayname')
  })

  it('is left out where the filter says so', async () => {
    await using server = await startTestServer()
    const { alice, bob } = await twoInARoom(server)
    await rig.sync(bob, { set_presence: 'online' })
    expect(presenceOf(await rig.sync(alice), bob)).toBeDefined()
    for (const presence of [{ types: [] }, { not_types: ['m.presence'] }, { not_senders: [bob.userId] }]) {
      expect(presenceOf(await rig.sync(alice, { filter: rig.filterText({ presence }) }), bob)).toBeUndefined()
    }
  })
})
