import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SlidingSyncBody } from '../../../shared/api/client/sync-msc4186.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'
import { listTo, type SlidingBody, slide, trySlide } from '../../sync/sliding-rig.ts'

let server: TestServer
let people = 0
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})
const somebody = (): Promise<Person> => {
  people += 1
  return server.register(`person${people}`)
}
async function two(): Promise<{ alice: Person; bob: Person; room: string }> {
  const [alice, bob] = [await somebody(), await somebody()]
  const room = await rig.createRoom(alice)
  await rig.join(bob, room)
  return { alice, bob, room }
}
type Extensions = NonNullable<SlidingSyncBody['extensions']>
const on = <K extends keyof Extensions>(name: K, more: object = {}): Pick<SlidingSyncBody, 'extensions'> => ({
  extensions: { [name]: { enabled: true, ...more } },
})
const types = (events: readonly rig.WireEvent[] | undefined) => events?.map(({ type }) => type)

describe('MSC4186 §Extensions', () => {
  it('tells nothing of what was not asked for', async () => {
    const { alice } = await two()
    expect((await slide(alice, listTo(9))).extensions).toEqual({})
    const off = { extensions: { to_device: { enabled: false }, e2ee: {} } }
    expect((await slide(alice, off)).extensions).toEqual({})
  })
})

describe('MSC3885 to-device messages', () => {
  const toDevice = (since?: string, more: object = {}) => on('to_device', { ...(since && { since }), ...more })

  it('gives messages until their token comes back, whatever the connection', async () => {
    const { alice, bob } = await two()
    await rig.sendToDevice(bob, alice, { n: 1 })
    const first = await slide(alice, toDevice())
    const again = await slide(alice, { conn_id: 'other', ...toDevice() })
    for (const body of [first, again]) expect(body.extensions.to_device?.events).toMatchObject([{ content: { n: 1 } }])
    await rig.sendToDevice(bob, alice, { n: 2 })
    const since = first.extensions.to_device?.next_batch ?? ''
    const second = await slide(alice, toDevice(since), { pos: first.pos })
    expect(second.extensions.to_device?.events).toMatchObject([{ content: { n: 2 } }])
    // The first message is gone now, even for who begins anew.
    expect((await slide(alice, toDevice())).extensions.to_device?.events).toMatchObject([{ content: { n: 2 } }])
  })

  it('gives messages where they are asked for later on a connection', async () => {
    const { alice, bob } = await two()
    await rig.sendToDevice(bob, alice, { n: 1 })
    const first = await slide(alice, listTo(0))
    const second = await slide(alice, { ...listTo(0), ...toDevice() }, { pos: first.pos })
    expect(second.extensions.to_device?.events).toHaveLength(1)
  })

  it('gives many in portions, in their order', async () => {
    const { alice, bob } = await two()
    for (const n of [1, 2, 3]) await rig.sendToDevice(bob, alice, { n })
    const first = await slide(alice, toDevice(undefined, { limit: 2 }))
    expect(first.extensions.to_device?.events.map(({ content }) => content.n)).toEqual([1, 2])
    const second = await slide(alice, toDevice(first.extensions.to_device?.next_batch), { pos: first.pos })
    expect(second.extensions.to_device?.events.map(({ content }) => content.n)).toEqual([3])
  })

  it('goes on from a token of /v3/sync, and refuses what is none', async () => {
    const { alice, bob } = await two()
    await rig.sendToDevice(bob, alice, { n: 1 })
    const { next_batch } = await rig.sync(alice)
    expect((await slide(alice, toDevice(next_batch))).extensions.to_device?.events).toEqual([])
    expect(await trySlide(alice, toDevice('nonsense'))).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })

  it('takes a token from the future for none: a backup was restored', async () => {
    const { alice, bob } = await two()
    await rig.sendToDevice(bob, alice, { n: 1 })
    const body = await slide(alice, toDevice('s999999999'))
    expect(body.extensions.to_device?.events).toHaveLength(1)
  })
})

describe('MSC3884 end-to-end encryption', () => {
  it('counts keys each time, and names whose devices changed since, of any room', async () => {
    const { alice, bob, room } = await two()
    const carol = await somebody()
    const first = await slide(alice, on('e2ee'))
    expect(first.extensions.e2ee).toEqual({
      device_one_time_keys_count: { signed_curve25519: 0 },
      device_unused_fallback_key_types: [],
    })
    const key = (user: Person) => ({
      user_id: user.userId,
      device_id: user.deviceId,
      algorithms: [],
      keys: {},
      signatures: {},
    })
    await bob.api.post('/_matrix/client/v3/keys/upload', { device_keys: key(bob) })
    await carol.api.post('/_matrix/client/v3/keys/upload', { device_keys: key(carol) })
    const second = await slide(alice, on('e2ee'), { pos: first.pos })
    expect(second.extensions.e2ee?.device_lists).toEqual({ changed: [bob.userId], left: [] })
    await rig.join(carol, room)
    await rig.leave(bob, room)
    const third = await slide(alice, on('e2ee'), { pos: second.pos })
    expect(third.extensions.e2ee?.device_lists).toEqual({ changed: [carol.userId], left: [bob.userId] })
    const fourth = await slide(alice, on('e2ee'), { pos: third.pos })
    expect(fourth.extensions.e2ee).not.toHaveProperty('device_lists')
  })
})

describe('MSC3959 account data', () => {
  it('gives all at first, with push rules, then what changed', async () => {
    const { alice, room } = await two()
    await rig.setAccountData(alice, 'org.example.global', { n: 1 })
    await rig.setAccountData(alice, 'org.example.room', { n: 1 }, room)
    const body = { ...listTo(9), ...on('account_data') }
    const first = await slide(alice, body)
    expect(types(first.extensions.account_data?.global)).toEqual(['org.example.global', 'm.push_rules'])
    expect(types(first.extensions.account_data?.rooms[room])).toEqual(['org.example.room'])
    const second = await slide(alice, body, { pos: first.pos })
    expect(second.extensions).toEqual({})
    await rig.setAccountData(alice, 'org.example.room', { n: 2 }, room)
    const third = await slide(alice, body, { pos: second.pos })
    expect(third.extensions.account_data).toEqual({
      global: [],
      rooms: { [room]: [{ type: 'org.example.room', content: { n: 2 } }] },
    })
  })

  it('gives all where it is asked for later, and keeps to its lists and rooms', async () => {
    const { alice, room } = await two()
    const other = await rig.createRoom(alice)
    for (const id of [room, other]) await rig.setAccountData(alice, 'org.example.room', {}, id)
    const config = { timeline_limit: 0, required_state: [] }
    const lists = { newest: { ...config, ranges: [[0, 0]] as [number, number][] }, all: config }
    const first = await slide(alice, { lists })
    const rooms = async (more: object, query: object = {}) =>
      Object.keys(
        (await slide(alice, { lists, ...on('account_data', more) }, query)).extensions.account_data?.rooms ?? {},
      )
    expect(await rooms({}, { pos: first.pos })).toEqual([other, room])
    expect(await rooms({ lists: ['newest'] })).toEqual([other])
    expect(await rooms({ lists: [] })).toEqual([])
    const subscribed = { room_subscriptions: { [room]: config, [other]: config } }
    const only = await slide(alice, { ...subscribed, ...on('account_data', { rooms: [room] }) })
    expect(Object.keys(only.extensions.account_data?.rooms ?? {})).toEqual([room])
  })

  it('tells what changed while a room was outside of the window', async () => {
    const { alice, room } = await two()
    const body = { ...listTo(0), ...on('account_data') }
    const first = await slide(alice, body)
    const other = await rig.createRoom(alice)
    const second = await slide(alice, body, { pos: first.pos })
    await rig.setAccountData(alice, 'org.example.room', {}, room)
    const third = await slide(alice, body, { pos: second.pos })
    expect(third.extensions).toEqual({})
    await rig.say(alice, room, 'back')
    const fourth = await slide(alice, body, { pos: third.pos })
    expect(types(fourth.extensions.account_data?.rooms[room])).toEqual(['org.example.room'])
    expect(Object.keys(fourth.rooms)).not.toContain(other)
  })
})

describe('MSC3960 receipts, MSC3961 typing', () => {
  const readers = (body: SlidingBody, room: string) => body.extensions.receipts?.rooms[room]?.content ?? {}

  it('gives of a new room receipts for its timeline and the own ones, then all that come', async () => {
    const { alice, bob, room } = await two()
    const old = await rig.say(alice, room, 'old')
    const shown = await rig.say(bob, room, 'shown')
    const carol = await somebody()
    await rig.join(carol, room)
    await rig.read(bob, room, old)
    await rig.read(alice, room, old)
    await rig.say(alice, room, 'newest')
    await rig.read(carol, room, shown)
    const body = { ...listTo(9, { timeline_limit: 1 }), ...on('receipts') }
    const first = await slide(alice, body)
    expect(first.extensions.receipts?.rooms[room]?.type).toBe('m.receipt')
    expect(readers(first, room)).toEqual({ [old]: { 'm.read': { [alice.userId]: { ts: expect.any(Number) } } } })
    await rig.read(bob, room, shown)
    const second = await slide(alice, body, { pos: first.pos })
    expect(readers(second, room)).toEqual({ [shown]: { 'm.read': { [bob.userId]: { ts: expect.any(Number) } } } })
    expect(second.rooms).toEqual({})
  })

  it('puts receipts of threads and without one into one event', async () => {
    const { alice, bob, room } = await two()
    const root = await rig.say(alice, room, 'root')
    const reply = await rig.sayIn(alice, room, root, 'reply')
    const body = { ...listTo(9), ...on('receipts') }
    const { pos } = await slide(alice, body)
    await rig.read(bob, room, root, { threadId: 'main' })
    await rig.read(bob, room, reply, { threadId: root })
    const { extensions } = await slide(alice, body, { pos })
    expect(extensions.receipts?.rooms[room]?.content).toMatchObject({
      [root]: { 'm.read': { [bob.userId]: { thread_id: 'main' } } },
      [reply]: { 'm.read': { [bob.userId]: { thread_id: root } } },
    })
  })

  it('hides private receipts of others', async () => {
    const { alice, bob, room } = await two()
    const said = await rig.say(alice, room, 'read me')
    await rig.read(bob, room, said, { type: 'm.read.private' })
    expect(readers(await slide(alice, { ...listTo(9), ...on('receipts') }), room)).toEqual({})
    expect(readers(await slide(bob, { ...listTo(9), ...on('receipts') }), room)).toMatchObject({ [said]: {} })
  })

  it('tells who types, and when nobody does any more', async () => {
    const { alice, bob, room } = await two()
    const body = { ...listTo(9), ...on('typing') }
    const first = await slide(alice, body)
    expect(first.extensions).toEqual({})
    await rig.type(bob, room, true)
    const second = await slide(alice, body, { pos: first.pos })
    expect(second.extensions.typing?.rooms[room]).toEqual({ type: 'm.typing', content: { user_ids: [bob.userId] } })
    expect((await slide(alice, body, { pos: second.pos })).extensions).toEqual({})
    await rig.type(bob, room, false)
    const third = await slide(alice, body, { pos: second.pos })
    expect(third.extensions.typing?.rooms[room]?.content).toEqual({ user_ids: [] })
  })
})
