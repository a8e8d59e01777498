import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keptStore } from '../../support/kept-store.ts'
import { type ManualClock, manualClock } from '../../support/manual-clock.ts'
import {
  act,
  bodies,
  type ClientEvent,
  getState,
  history,
  join,
  newRoom,
  roomPath,
  setState,
} from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const e = encodeURIComponent
const UNSTABLE = '/_matrix/client/unstable/org.matrix.msc4140'
const DELAYED = `${UNSTABLE}/delayed_events`

let server: TestServer
let clock: ManualClock
let openStore: ReturnType<typeof keptStore>
let alice: Person
let bob: Person
let roomId: string
beforeEach(async () => {
  clock = manualClock()
  openStore = keptStore()
  server = await startTestServer({ clock, openStore })
  alice = await server.register('alice')
  bob = await server.register('bob')
  roomId = await newRoom(alice, { preset: 'public_chat' })
  await join(bob, roomId)
})
afterEach(() => server[Symbol.asyncDispose]())

interface Delayed {
  readonly delay_id: string
  readonly errcode: string
}
let count = 0
const text = (body: string) => ({ msgtype: 'm.text', body })
const schedule = (by: Person, body: Record<string, unknown>, type = 'm.room.message', txn = `t${++count}`) =>
  by.api.put<Delayed>(`${UNSTABLE}/rooms/${e(roomId)}/delayed_event/${e(type)}/${txn}`, body)
async function scheduled(by: Person, body: Record<string, unknown>, type?: string): Promise<string> {
  const reply = await schedule(by, body, type)
  expect(reply.status).toBe(200)
  return reply.body.delay_id
}
const look = (by: Person, delayId: string) => by.api.get(`${DELAYED}/${delayId}`)
const manage = (by: Person, delayId: string, action: string) => by.api.post(`${DELAYED}/${delayId}/${action}`)
const listed = async (by: Person) =>
  (await by.api.get<{ delayed_events: Delayed[] }>(DELAYED)).body.delayed_events.map(({ delay_id }) => delay_id)

/** Waits until the delayed event is not scheduled any more. */
async function finalised(by: Person, delayId: string): Promise<Record<string, unknown>> {
  return await expect
    .poll(async () => (await look(by, delayId)).body, { timeout: 5_000 })
    .toHaveProperty('finalised_ts')
    .then(async () => (await look(by, delayId)).body)
}

async function restart(): Promise<void> {
  await server[Symbol.asyncDispose]()
  server = await startTestServer({ clock, openStore })
  alice = { ...alice, api: server.api(alice.accessToken) }
  bob = { ...bob, api: server.api(bob.accessToken) }
}

describe('MSC4140 delayed events', () => {
  it('sends an event when its delay is over and not before, with the delay ID for its sender alone', async () => {
    const delayId = await scheduled(alice, { delay_ms: 5_000, content: text('later') })
    clock.advance(4_999)
    expect(await bodies(alice, roomId)).toEqual([])
    expect((await look(alice, delayId)).body).toEqual({
      delay_id: delayId,
      room_id: roomId,
      type: 'm.room.message',
      delay_ms: 5_000,
      scheduled_at: clock.now() - 4_999,
      content: text('later'),
    })
    clock.advance(1)
    const done = await finalised(alice, delayId)
    expect(done).toMatchObject({ event_id: expect.stringMatching(/^\$/), finalised_ts: clock.now() })
    const find = async (by: Person) =>
      (await by.api.get<ClientEvent>(roomPath(roomId, `/event/${e(String(done.event_id))}`))).body
    expect((await find(alice)).unsigned).toMatchObject({ 'org.matrix.msc4140.delay_id': delayId })
    expect((await find(alice)).unsigned).not.toHaveProperty('transaction_id')
    expect((await find(bob)).unsigned).not.toHaveProperty('org.matrix.msc4140.delay_id')
    expect(await listed(alice)).toEqual([])
  })

  it('sends what came due while the server was down, in the order of its times, and each once', async () => {
    await scheduled(alice, { delay_ms: 3_000, content: text('third') })
    await scheduled(alice, { delay_ms: 1_000, content: text('first') })
    await scheduled(bob, { delay_ms: 2_000, content: text('second') })
    const far = await scheduled(alice, { delay_ms: 60_000, content: text('last') })
    await server[Symbol.asyncDispose]()
    clock.advance(10_000)
    server = await startTestServer({ clock, openStore })
    alice = { ...alice, api: server.api(alice.accessToken) }
    await expect.poll(() => bodies(alice, roomId)).toEqual(['first', 'second', 'third'])
    await restart()
    expect(await listed(alice)).toEqual([far])
    clock.advance(50_000)
    await finalised(alice, far)
    expect(await bodies(alice, roomId)).toEqual(['first', 'second', 'third', 'last'])
  })

  it('restarts, cancels and sends on request, and tells of outcomes that conflict', async () => {
    const restarted = await scheduled(alice, { delay_ms: 1_000, content: text('restarted') })
    clock.advance(900)
    expect((await manage(alice, restarted, 'restart')).status).toBe(200)
    clock.advance(900)
    expect(await bodies(alice, roomId)).toEqual([])
    const cancelled = await scheduled(alice, { delay_ms: 1_000, content: text('cancelled') })
    expect((await manage(alice, cancelled, 'cancel')).status).toBe(200)
    const sent = await scheduled(alice, { delay_ms: 9_000_000, content: text('sent') })
    expect((await manage(alice, sent, 'send')).status).toBe(200)
    expect(await bodies(alice, roomId)).toEqual(['sent'])
    // The older form.
    expect((await alice.api.post(`${DELAYED}/${sent}`, { action: 'send' })).status).toBe(200)

    for (const [id, action, status] of [
      [cancelled, 'cancel', 200],
      [cancelled, 'send', 409],
      [cancelled, 'restart', 409],
      [sent, 'send', 200],
      [sent, 'cancel', 409],
      ['unknown', 'send', 404],
    ] as const) {
      expect([id, action, (await manage(alice, id, action)).status]).toEqual([id, action, status])
    }
    expect((await manage(bob, restarted, 'cancel')).status).toBe(404)
    expect((await look(bob, restarted)).status).toBe(404)
    expect((await manage(alice, restarted, 'explode')).status).toBe(400)
    clock.advance(100)
    await finalised(alice, restarted)
    expect(await bodies(alice, roomId)).toEqual(['sent', 'restarted'])
  })

  it('is for who is in the room, and tells others not even whether there is such a room', async () => {
    const carol = await server.register('carol')
    const content = text('from outside')
    const known = await schedule(carol, { delay_ms: 1_000, content })
    expect(known).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const path = `${UNSTABLE}/rooms/${e('!nobody-knows:hearth.test')}/delayed_event/m.room.message/t0`
    expect((await carol.api.put(path, { delay_ms: 1_000, content })).body).toEqual(known.body)
    await act(alice, 'invite', roomId, carol)
    expect((await schedule(carol, { delay_ms: 1_000, content })).status).toBe(403)
    const own = { delay_ms: 1_000, state_key: carol.userId, content: { membership: 'join' } }
    const delayId = await scheduled(carol, own, 'm.room.member')
    clock.advance(1_000)
    await finalised(carol, delayId)
    expect((await getState(alice, roomId, 'm.room.member', carol.userId)).body).toMatchObject({ membership: 'join' })
  })

  it('sets state, memberships too, and takes the delay from the query as clients of today send it', async () => {
    const byQuery = { 'org.matrix.msc4140.delay': 1_000 }
    const path = roomPath(roomId, `/state/org.example.call/${e(bob.userId)}`)
    await setState(alice, roomId, 'm.room.power_levels', { users: {}, state_default: 0 })
    const put = (url: string, content: unknown) =>
      bob.api.fetch(`${url}?org.matrix.msc4140.delay=${byQuery['org.matrix.msc4140.delay']}`, {
        method: 'PUT',
        body: JSON.stringify(content),
      })
    const call = (await (await put(path, { left: true })).json()) as Delayed
    const message = (await (await put(roomPath(roomId, '/send/m.room.message/q1'), text('by query'))).json()) as Delayed
    const gone = await scheduled(
      bob,
      { delay_ms: 2_000, state_key: bob.userId, content: { membership: 'leave' } },
      'm.room.member',
    )
    clock.advance(2_000)
    await finalised(bob, gone)
    await finalised(bob, message.delay_id)
    expect((await look(bob, call.delay_id)).body).toMatchObject({ state_key: bob.userId, event_id: expect.any(String) })
    expect((await getState(alice, roomId, 'org.example.call', bob.userId)).body).toEqual({ left: true })
    expect((await getState(alice, roomId, 'm.room.member', bob.userId)).body).toMatchObject({ membership: 'leave' })
    expect(await bodies(alice, roomId)).toEqual(['by query'])
  })

  it('gives the error to the owner where the user may not send any more', async () => {
    const delayId = await scheduled(bob, { delay_ms: 1_000, content: text('too late') })
    await act(alice, 'ban', roomId, bob)
    // It stays scheduled when sending at once fails.
    expect(await manage(bob, delayId, 'send')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await listed(bob)).toEqual([delayId])
    clock.advance(1_000)
    expect(await finalised(bob, delayId)).toMatchObject({ error: { errcode: 'M_FORBIDDEN' } })
    expect((await look(bob, delayId)).body).not.toHaveProperty('event_id')
    expect((await history(alice, roomId)).some(({ content }) => content.body === 'too late')).toBe(false)
    expect((await manage(bob, delayId, 'cancel')).status).toBe(200)
  })

  it('is cancelled by others who set the same state meanwhile, not by its owner', async () => {
    const type = 'org.example.light'
    await setState(alice, roomId, 'm.room.power_levels', { users: {}, state_default: 0 })
    const overtaken = await scheduled(bob, { delay_ms: 1_000, state_key: '', content: { on: false } }, type)
    const other = await scheduled(bob, { delay_ms: 1_000, state_key: 'other', content: { on: false } }, type)
    await setState(bob, roomId, type, { on: 'by its owner' }, 'other')
    await setState(alice, roomId, type, { on: true })
    expect(await finalised(bob, overtaken)).not.toHaveProperty('event_id')
    clock.advance(1_000)
    expect(await finalised(bob, other)).toHaveProperty('event_id')
    expect((await getState(alice, roomId, type)).body).toEqual({ on: true })
  })

  it('knows a repeated request, and says how many and how long', async () => {
    const body = { delay_ms: 60_000, content: text('once') }
    const replies = await Promise.all([1, 2].map(() => schedule(alice, body, 'm.room.message', 'same')))
    expect(replies[0]?.body).toEqual(replies[1]?.body)
    const { capabilities } = (
      await alice.api.get<{ capabilities: Record<string, Record<string, number>> }>('/_matrix/client/v3/capabilities')
    ).body
    const limits = capabilities['org.matrix.msc4140.delayed_events'] ?? {}
    const { max_delay_ms: maxMs = 0, max_scheduled: max = 0 } = limits
    expect(await schedule(alice, { ...body, delay_ms: maxMs + 1 })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
    const old = await alice.api.fetch(
      roomPath(roomId, `/send/m.room.message/old?org.matrix.msc4140.delay=${maxMs + 1}`),
      { method: 'PUT', body: '{}' },
    )
    expect(old.status).toBe(400)
    expect(await old.json()).toMatchObject({
      errcode: 'M_UNKNOWN',
      'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED',
      'org.matrix.msc4140.max_delay': maxMs,
    })
    for (const delay_ms of [0, -1, 1.5, '5']) expect((await schedule(alice, { ...body, delay_ms })).status).toBe(400)
    for (let i = 1; i < max; i += 1) await scheduled(alice, body)
    const refused = await schedule(alice, body)
    expect(refused).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
    expect(refused.headers.get('retry-after')).toBe('60')
    expect((await schedule(bob, body)).status).toBe(200)
    expect((await server.api().get('/_matrix/client/versions')).body).toMatchObject({
      unstable_features: { 'org.matrix.msc4140': true },
    })
  })

  it('sends nothing for who is deactivated meanwhile', async () => {
    await scheduled(bob, { delay_ms: 1_000, content: text('from beyond') })
    const path = '/_matrix/client/v3/account/deactivate'
    const { session } = (await bob.api.post<{ session: string }>(path, {})).body
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'bob' },
      password: 'password of bob',
      session,
    }
    expect((await bob.api.post(path, { auth })).status).toBe(200)
    const marker = await scheduled(alice, { delay_ms: 1_000, content: text('after it') })
    clock.advance(1_000)
    await finalised(alice, marker)
    expect(await bodies(alice, roomId)).toEqual(['after it'])
  })

  it('keeps finalised events for a week', async () => {
    const delayId = await scheduled(alice, { delay_ms: 1_000, content: text('done') })
    await manage(alice, delayId, 'cancel')
    clock.advance(7 * 24 * 60 * 60_000 + 1)
    const next = await scheduled(alice, { delay_ms: 1_000, content: text('next') })
    await manage(alice, next, 'cancel')
    expect((await look(alice, delayId)).status).toBe(404)
  })
})
