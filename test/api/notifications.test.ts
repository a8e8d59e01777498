import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'

interface Listed {
  readonly next_token?: string
  readonly notifications: readonly {
    readonly actions: readonly unknown[]
    readonly event: rig.WireEvent & { readonly room_id?: string }
    readonly read: boolean
    readonly room_id: string
    readonly ts: number
  }[]
}

const list = async (who: Person, query: Record<string, string | number> = {}): Promise<Listed> => {
  const reply = await who.api.get<Listed>('/_matrix/client/v3/notifications', query)
  expect(reply.status).toBe(200)
  return reply.body
}
const bodies = ({ notifications }: Listed): readonly unknown[] => notifications.map(({ event }) => event.content.body)

let server: TestServer
let alice: Person
let bob: Person
let roomId: string
beforeEach(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  roomId = await rig.createRoom(alice)
  await rig.join(bob, roomId)
})
afterEach(() => server[Symbol.asyncDispose]())

describe('client-server-api §Listing Notifications', () => {
  it('lists what the user was notified of, newest first, and says what is read', async () => {
    const second = await rig.createRoom(alice)
    await rig.join(bob, second)
    await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, second, 'two', { 'm.mentions': { user_ids: [bob.userId] } })
    await rig.sendEvent(alice, roomId, 'm.room.message', { msgtype: 'm.notice', body: 'beep' })
    await rig.say(alice, roomId, 'three')
    await rig.read(bob, second, two)
    const listed = await list(bob)
    expect(bodies(listed)).toEqual(['three', 'two', 'one'])
    expect(listed.notifications.map(({ read }) => read)).toEqual([false, true, false])
    expect(listed.notifications[1]).toMatchObject({
      actions: ['notify', { set_tweak: 'sound', value: 'default' }, { set_tweak: 'highlight' }],
      room_id: second,
      ts: expect.any(Number),
      event: { event_id: two, sender: alice.userId, type: 'm.room.message' },
    })
    expect(listed.notifications[1]?.event).not.toHaveProperty('room_id')
    expect(listed).not.toHaveProperty('next_token')
  })

  it('gives page after page, each notification once', async () => {
    const rooms = [roomId, await rig.createRoom(alice), await rig.createRoom(alice)]
    for (const each of rooms) await rig.join(bob, each)
    const said: string[] = []
    for (let i = 0; i < 25; i += 1) {
      said.unshift(`m${i}`)
      await rig.say(alice, rooms[i % 3] ?? roomId, `m${i}`)
    }
    const seen: unknown[] = []
    let from: string | undefined
    let pages = 0
    do {
      const page = await list(bob, { limit: 4, ...(from !== undefined && { from }) })
      expect(page.notifications.length).toBeLessThanOrEqual(4)
      seen.push(...bodies(page))
      from = page.next_token
      pages += 1
    } while (from !== undefined && pages < 20)
    expect(seen).toEqual(said)
  })

  it('lists highlights only where asked, and nothing own, ignored, redacted or from before the user came', async () => {
    const carol = await server.register('carol')
    await rig.say(alice, roomId, 'before', { 'm.mentions': { user_ids: [carol.userId] } })
    await rig.join(carol, roomId)
    await rig.setAccountData(carol, 'm.ignored_user_list', { ignored_users: { [bob.userId]: {} } })
    const mention = { 'm.mentions': { user_ids: [carol.userId] } }
    await rig.say(alice, roomId, 'plain')
    await rig.say(alice, roomId, 'mention', mention)
    await rig.say(carol, roomId, 'own', mention)
    await rig.say(bob, roomId, 'ignored', mention)
    await rig.redact(alice, roomId, await rig.say(alice, roomId, 'redacted', mention))
    expect(bodies(await list(carol))).toEqual(['mention', 'plain'])
    expect(bodies(await list(carol, { only: 'highlight' }))).toEqual(['mention'])
  })

  it('lists an invitation', async () => {
    const other = await rig.createRoom(alice, { preset: 'private_chat' })
    await rig.invite(alice, other, bob)
    const { notifications } = await list(bob)
    expect(notifications).toMatchObject([{ room_id: other, read: false, event: { state_key: bob.userId } }])
    await rig.leave(bob, other)
    expect((await list(bob)).notifications).toEqual([])
  })

  it('looks at a bounded number of events at a time, and goes on from there', async () => {
    await rig.say(alice, roomId, 'first')
    const beep = () => rig.sendEvent(alice, roomId, 'm.room.message', { msgtype: 'm.notice', body: '' })
    for (let i = 0; i < 42; i += 1) await Promise.all(Array.from({ length: 50 }, beep))
    const page = await list(bob)
    expect(page.notifications).toEqual([])
    expect(bodies(await list(bob, { from: page.next_token ?? '' }))).toEqual(['first'])
  })

  it('refuses a token that is none', async () => {
    const reply = await bob.api.get<{ errcode: string }>('/_matrix/client/v3/notifications', { from: 'x' })
    expect([reply.status, reply.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
  })
})
