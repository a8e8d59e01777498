import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AccountsForReaders } from '../../../server/accounts/index.ts'
import { type Ephemeral, openEphemeral, tellServers } from '../../../server/ephemeral/index.ts'
import { idle, until } from '../../support/receiving-servers.ts'
import { OutboxRig } from './rig.ts'

let rig: OutboxRig
let ephemeral: Ephemeral
let telling: Disposable
let alice: string
beforeEach(async () => {
  rig = await OutboxRig.start('b.test', 'c.test')
  const { environment, store, rooms } = rig.t
  ephemeral = await openEphemeral({
    environment,
    store,
    rooms,
    accounts: { onProfileChanged: () => () => undefined } as unknown as AccountsForReaders,
  })
  telling = tellServers({ environment, rooms, ephemeral, outbox: rig.outbox })
  alice = rig.t.user('alice').userId
})
afterEach(async () => {
  telling[Symbol.dispose]()
  ephemeral[Symbol.dispose]()
  await rig[Symbol.asyncDispose]()
})

const edus = (server: string, type: string) =>
  rig.servers
    .taken(server)
    .flatMap((transaction) => transaction.edus)
    .filter(({ edu_type }) => edu_type === type)
    .map(({ content }) => content)

describe('server-server-api §Typing Notifications', () => {
  it('tells the other servers of a room at once who types, and who stops', async () => {
    const roomId = await rig.roomWith('b.test')
    await rig.roomWith('c.test')
    await ephemeral.typing.set({ roomId, userId: alice, typing: true })
    await until(() => edus('b.test', 'm.typing').length === 1)
    await ephemeral.typing.set({ roomId, userId: alice, typing: false })
    await until(() => edus('b.test', 'm.typing').length === 2)
    const said = { room_id: roomId, user_id: alice }
    expect(edus('b.test', 'm.typing')).toEqual([
      { ...said, typing: true },
      { ...said, typing: false },
    ])
    expect(edus('c.test', 'm.typing')).toEqual([])
  })

  it('says so again while they go on, since others forget it, and then not any more', async () => {
    const roomId = await rig.roomWith('b.test')
    await ephemeral.typing.set({ roomId, userId: alice, typing: true, timeoutMs: 100_000 })
    for (let i = 0; i < 3; i += 1) {
      await rig.pass(5_000)
      await ephemeral.typing.set({ roomId, userId: alice, typing: true, timeoutMs: 100_000 })
    }
    await rig.pass(30_000, 3)
    expect(edus('b.test', 'm.typing').map(({ typing }) => typing)).toEqual([true, true])
    await rig.pass(200_000, 20)
    expect(edus('b.test', 'm.typing').map(({ typing }) => typing)).toEqual([true, true, true, false])
  })

  it('says nothing of users of other servers', async () => {
    const roomId = await rig.roomWith('b.test', 'c.test')
    await ephemeral.edus.receive('b.test', 'm.typing', { room_id: roomId, user_id: '@bob:b.test', typing: true })
    expect(ephemeral.typing.inRoom(roomId)).toEqual(['@bob:b.test'])
    await rig.pass(60_000, 6)
    expect(edus('c.test', 'm.typing')).toEqual([])
  })
})

describe('server-server-api §Receipts', () => {
  it('sends public receipts, threaded ones with their thread, and never private ones', async () => {
    const roomId = await rig.roomWith('b.test')
    const eventId = await rig.say(roomId, 'hello')
    await rig.had('b.test', 'hello')
    const post = (type: 'm.read' | 'm.read.private', threadId: string | null) =>
      ephemeral.receipts.post({ roomId, userId: alice, type, eventId, threadId })
    await post('m.read.private', null)
    await post('m.read', null)
    await post('m.read', 'main')
    await rig.pass(2_000)
    const ts = expect.any(Number)
    expect(edus('b.test', 'm.receipt')).toEqual([
      { [roomId]: { 'm.read': { [alice]: { data: { ts }, event_ids: [eventId] } } } },
      { [roomId]: { 'm.read': { [alice]: { data: { ts, thread_id: 'main' }, event_ids: [eventId] } } } },
    ])
    expect(JSON.stringify(rig.servers.tried('b.test'))).not.toContain('m.read.private')
  })

  it('sends one for all that was read in a moment', async () => {
    const roomId = await rig.roomWith('b.test')
    const ids: string[] = []
    for (const body of await rig.sayMany(roomId, 5)) ids.push(await rig.say(roomId, `${body} again`))
    await idle()
    for (const eventId of ids) {
      await ephemeral.receipts.post({ roomId, userId: alice, type: 'm.read', eventId, threadId: null })
    }
    await rig.pass(2_000)
    expect(edus('b.test', 'm.receipt')).toMatchObject([
      { [roomId]: { 'm.read': { [alice]: { event_ids: [ids[4]] } } } },
    ])
  })
})

describe('server-server-api §Presence', () => {
  const states = (server: string) =>
    edus(server, 'm.presence').flatMap(({ push }) =>
      (push as { user_id: string; presence: string }[]).map(({ user_id, presence }) => `${user_id} ${presence}`),
    )

  it('tells servers that share a room, and those alone', async () => {
    await rig.roomWith('b.test')
    await rig.pass(10_000, 2)
    await ephemeral.presence.set(alice, 'online', 'at home')
    await rig.pass(10_000, 2)
    expect(edus('b.test', 'm.presence')).toMatchObject([
      { push: [{ user_id: alice, presence: 'online', status_msg: 'at home', last_active_ago: expect.any(Number) }] },
    ])
    expect(rig.servers.tried('c.test')).toEqual([])
  })

  it('goes by state: what flickers is not sent, and what lasts is said again before others forget it', async () => {
    await rig.roomWith('b.test')
    for (let second = 0; second < 120; second += 1) {
      ephemeral.presence.syncing({ userId: alice, deviceId: 'D', state: 'online', timeoutMs: 30_000 })
      await rig.pass(1_000)
    }
    expect(states('b.test')).toEqual([`${alice} online`])
    for (let minute = 0; minute < 30; minute += 1) {
      ephemeral.presence.syncing({ userId: alice, deviceId: 'D', state: 'online', timeoutMs: 90_000 })
      await rig.pass(60_000, 6)
    }
    expect(states('b.test').slice(1)).toEqual([`${alice} unavailable`, `${alice} unavailable`])
    await rig.pass(300_000, 30)
    expect(states('b.test').at(-1)).toBe(`${alice} offline`)
    const count = states('b.test').length
    await rig.pass(3_600_000, 30)
    expect(states('b.test')).toHaveLength(count)
  })

  it('tells a server that comes into a room who is there', async () => {
    const roomId = await rig.roomWith()
    await ephemeral.presence.set(alice, 'online', null)
    await rig.pass(10_000, 2)
    await rig.joinFrom('c.test', roomId)
    await rig.pass(10_000, 2)
    expect(states('c.test')).toContain(`${alice} online`)
  })
})
