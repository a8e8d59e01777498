import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { keptStore } from '../support/kept-store.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'
import { bodies, join, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const e = encodeURIComponent
const RETENTION = '/_hearth/client/v1/retention'
const none = { default_lifetime: null, shortest_lifetime: null, longest_lifetime: null }
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

const openStore = keptStore()
let clock: ManualClock
let server: TestServer
let admin: Person
let alice: Person
beforeAll(async () => {
  clock = manualClock()
  server = await startTestServer({ clock, openStore })
  admin = await registerAdmin(server, 'admin')
  alice = await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

const purge = (by: Person, roomId: string, eventId: string) =>
  by.api.post(`/_hearth/client/v1/rooms/${e(roomId)}/purge_history`, { event_id: eventId })
const synced = async (roomId: string) => {
  const { body } = await alice.api.get<{
    rooms: { join: Record<string, { timeline: { events: { type: string; content: { body?: string } }[] } }> }
  }>('/_matrix/client/v3/sync')
  return body.rooms.join[roomId]?.timeline.events
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content.body)
}

describe('how long the home keeps messages', () => {
  it('is set by administrators for all rooms, and by a room for itself', async () => {
    expect((await admin.api.get(RETENTION)).body).toEqual(none)
    const own = await newRoom(alice)
    const other = await newRoom(alice)
    await setState(alice, own, 'm.room.retention', { max_lifetime: 60_000 })
    for (const roomId of [own, other]) await send(alice, roomId, 'hello')
    clock.advance(60_001)
    expect(await bodies(alice, own)).toEqual([])
    expect(await synced(own)).toEqual([])
    expect(await bodies(alice, other)).toEqual(['hello'])

    expect(await alice.api.put(RETENTION, { ...none, default_lifetime: 1 })).toMatchObject(forbidden)
    expect(await alice.api.get(RETENTION)).toMatchObject(forbidden)
    expect((await admin.api.put(RETENTION, { ...none, default_lifetime: -1 })).status).toBe(400)
    expect((await admin.api.put(RETENTION, { ...none, default_lifetime: 50_000 })).status).toBe(200)
    expect(await bodies(alice, other)).toEqual([])

    await server[Symbol.asyncDispose]()
    server = await startTestServer({ clock, openStore })
    for (const person of [admin, alice]) Object.assign(person, { api: server.api(person.accessToken) })
    expect((await admin.api.get(RETENTION)).body).toEqual({ ...none, default_lifetime: 50_000 })
    expect(await bodies(alice, other)).toEqual([])
    expect((await admin.api.put(RETENTION, none)).status).toBe(200)
  })

  it('lets an administrator purge a room up to an event', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(admin, roomId)
    const first = await send(alice, roomId, 'first')
    const second = await send(alice, roomId, 'second')
    expect(await purge(alice, roomId, second)).toMatchObject(forbidden)
    expect((await purge(admin, roomId, '$unknown')).status).toBe(404)
    expect((await purge(admin, '!unknown:hearth.test', second)).status).toBe(404)
    expect((await purge(admin, roomId, second)).status).toBe(200)
    for (const person of [admin, alice]) expect(await bodies(person, roomId)).toEqual(['second'])
    expect((await alice.api.get(roomPath(roomId, `/event/${e(first)}`))).status).toBe(404)
    expect((await alice.api.get(roomPath(roomId, '/members'))).status).toBe(200)
  })
})
