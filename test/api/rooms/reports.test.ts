import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../../support/admin.ts'
import { keptStore } from '../../support/kept-store.ts'
import { join, leave, newRoom, roomPath, send } from '../../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

const e = encodeURIComponent
const REPORTS = '/_hearth/client/v1/reports'
const openStore = keptStore()
let server: TestServer
let admin: Person
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer({ openStore })
  admin = await registerAdmin(server, 'admin')
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

interface Report {
  readonly report_id: string
  readonly kind: string
  readonly by: string
  readonly reason: string
}
const list = (by: Person, query = {}) => by.api.get<{ reports: Report[]; next?: number }>(REPORTS, query)
const reportEvent = (by: Person, roomId: string, eventId: string, body: unknown = { reason: 'rude' }) =>
  by.api.post(roomPath(roomId, `/report/${e(eventId)}`), body)
const reportUser = (by: Person, userId: string) =>
  by.api.post(`/_matrix/client/v3/users/${e(userId)}/report`, { reason: 'spam' })

describe('client-server-api §Reporting Content', () => {
  it('keeps reports of events, rooms and users for administrators alone, over a restart', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    await join(bob, roomId)
    const eventId = await send(alice, roomId, 'something bad')
    expect(await reportEvent(bob, roomId, eventId)).toMatchObject({ status: 200, body: {} })
    expect((await bob.api.post(roomPath(roomId, '/report'), { reason: '' })).status).toBe(200)
    expect((await reportUser(bob, alice.userId)).status).toBe(200)

    await server[Symbol.asyncDispose]()
    server = await startTestServer({ openStore })
    for (const person of [admin, alice, bob]) Object.assign(person, { api: server.api(person.accessToken) })

    const { body } = await list(admin)
    const common = { report_id: expect.any(String), by: bob.userId, received_ts: expect.any(Number) }
    expect(body).toEqual({
      reports: [
        { ...common, kind: 'user', user_id: alice.userId, reason: 'spam' },
        { ...common, kind: 'room', room_id: roomId, reason: '' },
        {
          ...common,
          kind: 'event',
          room_id: roomId,
          event_id: eventId,
          user_id: alice.userId,
          reason: 'rude',
          event: expect.objectContaining({ content: { msgtype: 'm.text', body: 'something bad' }, event_id: eventId }),
        },
      ],
    })
    expect(await list(bob)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const first = await list(admin, { limit: 2 })
    expect(first.body.reports).toEqual(body.reports.slice(0, 2))
    const second = await list(admin, { limit: 2, before: first.body.next })
    expect(second.body.reports).toEqual(body.reports.slice(2))

    const path = `${REPORTS}/${body.reports[0]?.report_id}`
    expect((await bob.api.delete(path)).status).toBe(403)
    expect((await admin.api.delete(path)).status).toBe(200)
    expect((await admin.api.delete(path)).status).toBe(404)
    expect((await list(admin)).body.reports).toEqual(body.reports.slice(1))
  })

  it('takes event reports only from those who are joined, of events that they may see', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const eventId = await send(alice, roomId, 'not for bob')
    const refused = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
    expect(await reportEvent(bob, roomId, eventId)).toMatchObject(refused)
    await join(bob, roomId)
    expect(await reportEvent(bob, roomId, '$unknown')).toMatchObject(refused)
    expect((await reportEvent(bob, roomId, eventId, {})).status).toBe(200)
    await leave(bob, roomId)
    expect(await reportEvent(bob, roomId, eventId)).toMatchObject(refused)
    expect(await reportEvent(bob, roomId, eventId, { reason: 5 })).toMatchObject({ status: 400 })
  })

  it('takes reports of rooms and users from anybody, and does not tell whether they exist', async () => {
    const roomId = await newRoom(alice)
    expect((await bob.api.post(roomPath(roomId, '/report'), { reason: 'x' })).status).toBe(200)
    expect((await bob.api.post(roomPath('!unknown:else.test', '/report'), { reason: 'x' })).status).toBe(200)
    expect((await bob.api.post(roomPath(roomId, '/report'), {})).status).toBe(400)
    expect((await reportUser(bob, '@nobody:hearth.test')).status).toBe(200)
    expect((await reportUser(bob, '@someone:else.test')).status).toBe(200)
    const { reports } = (await list(admin)).body
    expect(
      reports.filter(({ kind }) => kind === 'user').map((report) => (report as { user_id?: string }).user_id),
    ).toEqual(['@someone:else.test'])
  })

  it('lets nobody push out what others report', async () => {
    await reportUser(alice, '@quiet:else.test')
    for (let i = 0; i < 120; i += 1) await reportUser(bob, `@many${i}:else.test`)
    await reportUser(bob, '@many119:else.test')
    const reports: Report[] = []
    for (let before: number | undefined; ; ) {
      const { body } = await list(admin, { ...(before !== undefined && { before }) })
      reports.push(...body.reports)
      if (body.next === undefined) break
      before = body.next
    }
    expect(reports.filter(({ by }) => by === bob.userId)).toHaveLength(100)
    expect(reports.filter(({ by }) => by === alice.userId)).toHaveLength(1)
  })
})
