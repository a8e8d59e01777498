import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SlidingSyncBody } from '../../../shared/api/client/sync-msc4186.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { type Person, startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'
import { bodiesOf, listTo, SLIDING, type SlidingBody, slide, trySlide } from '../../sync/sliding-rig.ts'

const wait = (who: Person, body: SlidingSyncBody, pos: string): Promise<SlidingBody> =>
  slide(who, body, { pos, timeout: 60_000 })
const ALL = listTo(9, { timeline_limit: 5 })

describe('MSC4186: long polling', () => {
  it('is answered with empty hands when its time is over, and loses nothing by it', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const alice = await server.register('alice')
    const room = await rig.createRoom(alice)
    const { pos } = await slide(alice, ALL)
    const waiting = wait(alice, ALL, pos)
    expect(await rig.isPending(waiting, alice)).toBe(true)
    clock.advance(60_000)
    const body = await waiting
    expect(body.rooms).toEqual({})
    await rig.say(alice, room, 'later')
    // Whether or not the empty answer arrived.
    expect(bodiesOf((await slide(alice, ALL, { pos })).rooms[room])).toEqual(['later'])
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
    const encryption = { conn_id: 'encryption', extensions: { e2ee: { enabled: true }, to_device: { enabled: true } } }
    const [b, c, keys] = [await slide(bob, ALL), await slide(carol, ALL), await slide(bob, encryption)]
    const waiting = [wait(bob, ALL, b.pos), wait(carol, ALL, c.pos), wait(bob, encryption, keys.pos)] as const
    for (const request of waiting) expect(await rig.isPending(request, alice)).toBe(true)
    await rig.say(alice, shared, 'news')
    expect(bodiesOf((await waiting[0]).rooms[shared])).toEqual(['news'])
    expect(await rig.isPending(waiting[1], alice)).toBe(true)
    expect(await rig.isPending(waiting[2], alice)).toBe(true)
    await rig.invite(alice, shared, carol)
    expect((await waiting[1]).rooms[shared]?.membership).toBe('invite')
    await rig.sendToDevice(alice, bob, { n: 1 })
    expect((await waiting[2]).extensions.to_device?.events).toHaveLength(1)
  })

  it('goes on waiting while only rooms outside of what was chosen change', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const chosen = await rig.createRoom(alice)
    const other = await rig.createRoom(alice)
    await rig.join(bob, other)
    const body = { room_subscriptions: { [chosen]: { timeline_limit: 1, required_state: [] } } }
    const { pos } = await slide(alice, body)
    const waiting = wait(alice, body, pos)
    await rig.isPending(waiting, alice)
    await rig.say(bob, other, 'elsewhere')
    expect(await rig.isPending(waiting, alice)).toBe(true)
    await rig.say(alice, chosen, 'here')
    expect(Object.keys((await waiting).rooms)).toEqual([chosen])
  })

  it('does not wait for a wider window or a list that is new', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    await rig.createRoom(alice)
    await rig.createRoom(alice)
    const { pos } = await slide(alice, listTo(0))
    const wider = await wait(alice, listTo(9), pos)
    expect(Object.keys(wider.rooms)).toHaveLength(1)
    const { lists } = await wait(
      alice,
      { lists: { ...listTo(9).lists, more: { timeline_limit: 0, required_state: [] } } },
      wider.pos,
    )
    expect(lists.more).toEqual({ count: 2 })
  })

  it('lets a later request of a connection take the place of one that waits', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const room = await rig.createRoom(alice)
    const { pos } = await slide(alice, ALL)
    const before = wait(alice, ALL, pos)
    await rig.isPending(before, alice)
    const after = wait(alice, ALL, pos)
    // Whoever reads both must not lose by the first.
    expect(await before).toMatchObject({ pos, rooms: {} })
    await rig.say(alice, room, 'for the second')
    expect(bodiesOf((await after).rooms[room])).toEqual(['for the second'])
  })

  it('lets go of a client that went away, whose next request has it all', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const room = await rig.createRoom(alice)
    const { pos } = await slide(alice, ALL)
    const gone = new AbortController()
    const request = alice.api.fetch(`${SLIDING}?pos=${pos}&timeout=60000&set_presence=offline`, {
      method: 'POST',
      body: JSON.stringify(ALL),
      signal: gone.signal,
    })
    await rig.isPending(request, alice)
    await rig.say(alice, room, 'while it goes')
    gone.abort()
    await request.then(
      () => undefined,
      () => undefined,
    )
    expect(bodiesOf((await slide(alice, ALL, { pos })).rooms[room])).toEqual(['while it goes'])
    expect(server.complaints).toEqual([])
  })

  it('begins anew after a restart, and keeps messages to the device', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'hearth-'))
    try {
      const before = await startTestServer({ dataDir })
      const alice = await before.register('alice')
      const room = await rig.createRoom(alice)
      const body = { ...ALL, extensions: { to_device: { enabled: true } } }
      const first = await slide(alice, body)
      await rig.sendToDevice(alice, alice, { n: 1 })
      await before[Symbol.asyncDispose]()
      await using after = await startTestServer({ dataDir })
      const again = { ...alice, api: after.api(alice.accessToken) }
      const since = first.extensions.to_device?.next_batch
      const kept = { ...ALL, extensions: { to_device: { enabled: true, ...(since && { since }) } } }
      const refused = await trySlide(again, kept, { pos: first.pos })
      expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_POS' } })
      const anew = await slide(again, kept)
      expect(anew.rooms[room]?.initial).toBe(true)
      expect(anew.extensions.to_device?.events).toHaveLength(1)
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})
