import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../support/manual-clock.ts'
import { bodies, join, leave, newRoom, send } from '../../support/room-calls.ts'
import { faultsOfReply } from '../../support/spec-schema.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const START = 1_800_000_000_000
const clock = manualClock(START)
let server: TestServer
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer({ clock })
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const e = encodeURIComponent
const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const nearest = (by: Person, roomId: string, ts: number | string, dir: string) =>
  by.api.get<{ event_id: string; origin_server_ts: number }>(
    `/_matrix/client/v1/rooms/${e(roomId)}/timestamp_to_event`,
    { ts, dir },
  )

describe('client-server-api §GET /rooms/{roomId}/timestamp_to_event', () => {
  it('finds the event nearest to a time, in the direction asked for', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const begun = clock.now()
    const sent: { id: string; ts: number }[] = []
    for (let i = 0; i < 3; i += 1) {
      clock.advance(1_000)
      sent.push({ id: await send(alice, roomId, `${i}`), ts: clock.now() })
    }
    const [first, second, third] = sent
    const at = async (ts: number, dir: string) => (await nearest(alice, roomId, ts, dir)).body
    expect(await at((first?.ts ?? 0) + 1, 'f')).toEqual({ event_id: second?.id, origin_server_ts: second?.ts })
    expect(await at((second?.ts ?? 0) - 1, 'b')).toEqual({ event_id: first?.id, origin_server_ts: first?.ts })
    for (const dir of ['f', 'b']) expect((await at(second?.ts ?? 0, dir)).event_id).toBe(second?.id)
    expect((await at(0, 'f')).origin_server_ts).toBe(begun)
    expect((await at(Number.MAX_SAFE_INTEGER, 'b')).event_id).toBe(third?.id)
    expect(faultsOfReply('getEventByTimestamp', await at(0, 'f'))).toEqual([])
    expect(await nearest(alice, roomId, (third?.ts ?? 0) + 1, 'f')).toMatchObject(notFound)
    expect(await nearest(alice, roomId, 0, 'b')).toMatchObject(notFound)
    for (const [ts, dir] of [
      ['x', 'f'],
      [0, 'x'],
    ] as const) {
      expect(await nearest(alice, roomId, ts, dir)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
  })

  it('passes over events that the user may not see, however many of one time there are', async () => {
    const roomId = await newRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    })
    const createdTs = clock.now()
    clock.advance(1_000)
    for (let i = 0; i < 150; i += 1) await send(alice, roomId, 'hidden')
    clock.advance(1_000)
    await join(bob, roomId)
    clock.advance(1_000)
    const seen = await send(alice, roomId, 'seen')
    const seenTs = clock.now()
    await leave(bob, roomId)
    clock.advance(1_000)
    await send(alice, roomId, 'after')
    // After the room's beginning their own join is the first event that they see.
    const { body } = await nearest(bob, roomId, createdTs + 1, 'f')
    expect(body.origin_server_ts).toBe(seenTs - 1_000)
    expect((await nearest(bob, roomId, seenTs, 'f')).body.event_id).toBe(seen)
    expect((await nearest(bob, roomId, clock.now() + 5, 'b')).body.origin_server_ts).toBe(seenTs)
    expect(await nearest(bob, roomId, seenTs + 1, 'f')).toMatchObject(notFound)
    expect(await nearest(await server.register('carol'), roomId, 0, 'f')).toMatchObject({ status: 403 })
  })
})

describe('client-server-api §GET /events/{eventId}', () => {
  const one = (by: Person, eventId: string) => by.api.get(`/_matrix/client/v3/events/${e(eventId)}`)

  it('finds an event in any of the user’s rooms, and in no others', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await newRoom(alice)
    const event = await send(alice, roomId, 'here')
    const { status, body } = await one(alice, event)
    expect([status, body.room_id, body.event_id]).toEqual([200, roomId, event])
    expect(faultsOfReply('getOneEvent', body)).toEqual([])
    expect(await one(bob, event)).toMatchObject(notFound)
    expect(await one(alice, '$none')).toMatchObject(notFound)
    await join(bob, roomId)
    expect((await one(bob, event)).status).toBe(200)
    await leave(bob, roomId)
    expect((await one(bob, event)).status).toBe(200)
    expect(await one(bob, await send(alice, roomId, 'after'))).toMatchObject(notFound)
    expect(await bodies(bob, roomId)).toEqual(['here'])
  })

  it('has nothing to do with the old streams, which are unknown', async () => {
    for (const path of ['/events', '/initialSync']) {
      expect(await alice.api.get(`/_matrix/client/v3${path}`)).toMatchObject({
        status: 404,
        body: { errcode: 'M_UNRECOGNIZED' },
      })
    }
  })
})
