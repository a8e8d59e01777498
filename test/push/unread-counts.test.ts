import { describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'
import * as rig from '../sync/rig.ts'

const BY_THREAD = rig.filterText({ room: { timeline: { unread_thread_notifications: true } } })

async function roomOfTwo(server: TestServer): Promise<{ alice: Person; bob: Person; roomId: string }> {
  const alice = await server.register('alice')
  const bob = await server.register('bob')
  const roomId = await rig.createRoom(alice)
  await rig.join(bob, roomId)
  return { alice, bob, roomId }
}
const counts = (notifications: number, highlights = 0): rig.Counts => ({
  notification_count: notifications,
  highlight_count: highlights,
})
const totalOf = async (who: Person, roomId: string): Promise<rig.Counts> =>
  rig.mustJoined(await rig.sync(who), roomId).unread_notifications
const threadsOf = async (who: Person, roomId: string) => {
  const room = rig.mustJoined(await rig.sync(who, { filter: BY_THREAD }), roomId)
  return { main: room.unread_notifications, threads: room.unread_thread_notifications }
}

describe('client-server-api §Receiving notifications', () => {
  it('counts messages of others, in the same answer that brings them', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    expect(await totalOf(bob, roomId)).toEqual(counts(0))
    let since = (await rig.sync(bob)).next_batch
    for (const count of [1, 2, 3]) {
      await rig.say(alice, roomId, `m${count}`)
      const body = await rig.sync(bob, { since })
      since = body.next_batch
      expect(rig.mustJoined(body, roomId).unread_notifications).toEqual(counts(count))
    }
    expect(await totalOf(alice, roomId)).toEqual(counts(0))
  })

  it('counts mentions as highlights, and neither notices, reactions, edits nor changes of state', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const first = await rig.say(alice, roomId, 'bob!', { 'm.mentions': { user_ids: [bob.userId] } })
    await rig.sendEvent(alice, roomId, 'm.room.message', { msgtype: 'm.notice', body: 'beep' })
    await rig.sendEvent(alice, roomId, 'm.reaction', {
      'm.relates_to': { rel_type: 'm.annotation', event_id: first, key: '+' },
    })
    await rig.say(alice, roomId, '* bob?', {
      'm.new_content': { msgtype: 'm.text', body: 'bob?' },
      'm.relates_to': { rel_type: 'm.replace', event_id: first },
    })
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'new' })
    await rig.sendEvent(alice, roomId, 'm.room.encrypted', { algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'x' })
    expect(await totalOf(bob, roomId)).toEqual(counts(2, 1))
    await rig.say(alice, roomId, 'all', { 'm.mentions': { room: true } })
    expect(await totalOf(bob, roomId)).toEqual(counts(3, 2))
  })

  it('counts a room mention only of senders who may notify the room', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    await rig.say(bob, roomId, 'all', { 'm.mentions': { room: true } })
    expect(await totalOf(alice, roomId)).toEqual(counts(1, 0))
  })

  it('counts nothing from before the user joined, or came back', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const carol = await server.register('carol')
    await rig.say(alice, roomId, 'one')
    await rig.join(carol, roomId)
    expect(await totalOf(carol, roomId)).toEqual(counts(0))
    await rig.setState(carol, roomId, 'm.room.member', { membership: 'join', displayname: 'Caro' }, carol.userId)
    await rig.say(alice, roomId, 'two')
    await rig.setState(carol, roomId, 'm.room.member', { membership: 'join', displayname: 'C' }, carol.userId)
    expect(await totalOf(carol, roomId)).toEqual(counts(1))
    expect(await totalOf(bob, roomId)).toEqual(counts(2))
    await rig.leave(bob, roomId)
    await rig.join(bob, roomId)
    expect(await totalOf(bob, roomId)).toEqual(counts(0))
  })

  it('does not count what ignored users send', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    await rig.say(alice, roomId, 'one')
    await rig.setAccountData(bob, 'm.ignored_user_list', { ignored_users: { [alice.userId]: {} } })
    await rig.say(alice, roomId, 'two')
    expect(await totalOf(bob, roomId)).toEqual(counts(0))
  })

  it('no longer counts what was redacted', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const one = await rig.say(alice, roomId, 'one')
    await rig.say(alice, roomId, 'two')
    const first = await rig.sync(bob)
    expect(rig.mustJoined(first, roomId).unread_notifications).toEqual(counts(2))
    await rig.redact(alice, roomId, one)
    const second = await rig.sync(bob, { since: first.next_batch })
    expect(rig.mustJoined(second, roomId).unread_notifications).toEqual(counts(1))
  })

  it('follows a change of the rules', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    await rig.say(alice, roomId, 'one')
    const first = await rig.sync(bob)
    const rule = `/_matrix/client/v3/pushrules/global/room/${encodeURIComponent(roomId)}`
    await bob.api.put(rule, { actions: [] })
    const second = await rig.sync(bob, { since: first.next_batch })
    expect(rig.mustJoined(second, roomId).unread_notifications).toEqual(counts(0))
    await bob.api.put(`${rule}/actions`, { actions: ['notify', { set_tweak: 'highlight' }] })
    const third = await rig.sync(bob, { since: second.next_batch })
    expect(rig.mustJoined(third, roomId).unread_notifications).toEqual(counts(1, 1))
  })

  it('counts the same after a restart', async () => {
    const openStore = keptStore()
    let token = ''
    let roomId = ''
    {
      await using server = await startTestServer({ openStore })
      const people = await roomOfTwo(server)
      roomId = people.roomId
      token = people.bob.accessToken
      const one = await rig.say(people.alice, roomId, 'one')
      await rig.say(people.alice, roomId, 'two')
      await rig.say(people.alice, roomId, 'three', { 'm.mentions': { user_ids: [people.bob.userId] } })
      await rig.read(people.bob, roomId, one)
    }
    await using server = await startTestServer({ openStore })
    const body = await rig.sync({ api: server.api(token) })
    expect(rig.mustJoined(body, roomId).unread_notifications).toEqual(counts(2, 1))
  })
})

describe('client-server-api §Marking notifications as read', () => {
  it.each(['m.read', 'm.read.private'])('%s marks all up to its event, on all devices', async (type) => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    const three = await rig.say(alice, roomId, 'three')
    const phone = await server.login('bob')
    const first = await rig.sync(phone)
    await rig.read(bob, roomId, two, { type })
    const second = await rig.sync(phone, { since: first.next_batch })
    expect(rig.mustJoined(second, roomId).unread_notifications).toEqual(counts(1))
    await rig.read(bob, roomId, three, { type })
    const third = await rig.sync(phone, { since: second.next_batch })
    expect(rig.mustJoined(third, roomId).unread_notifications).toEqual(counts(0))
  })

  it('tells the counts where the filter hides receipts', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const one = await rig.say(alice, roomId, 'one')
    const filter = rig.filterText({ room: { ephemeral: { types: [] } } })
    const first = await rig.sync(bob, { filter })
    await rig.read(bob, roomId, one)
    const second = await rig.sync(bob, { filter, since: first.next_batch })
    expect(rig.mustJoined(second, roomId).unread_notifications).toEqual(counts(0))
  })

  it('takes the farther of the public and the private receipt', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const one = await rig.say(alice, roomId, 'one')
    const two = await rig.say(alice, roomId, 'two')
    await rig.say(alice, roomId, 'three')
    await rig.read(bob, roomId, two, { type: 'm.read.private' })
    await rig.read(bob, roomId, one, { type: 'm.read' })
    expect(await totalOf(bob, roomId)).toEqual(counts(1))
  })

  it('takes an event that the user sends as read up to there', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    await rig.say(alice, roomId, 'one')
    expect(await totalOf(bob, roomId)).toEqual(counts(1))
    await rig.say(bob, roomId, 'answer')
    expect(await totalOf(bob, roomId)).toEqual(counts(0))
    await rig.say(alice, roomId, 'two')
    expect(await totalOf(bob, roomId)).toEqual(counts(1))
  })

  it('counts each thread by itself where asked for, and all together otherwise', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const root = await rig.say(alice, roomId, 'root')
    await rig.sayIn(alice, roomId, root, 't1')
    const mention = { 'm.mentions': { user_ids: [bob.userId] } }
    const relation = { 'm.relates_to': { rel_type: 'm.thread', event_id: root } }
    const t2 = await rig.say(alice, roomId, 't2', { ...relation, ...mention })
    await rig.sayIn(alice, roomId, root, 't3')
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(1), threads: { [root]: counts(3, 1) } })
    expect(await totalOf(bob, roomId)).toEqual(counts(4, 1))
    await rig.read(bob, roomId, t2, { threadId: root })
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(1), threads: { [root]: counts(1) } })
    await rig.read(bob, roomId, root, { threadId: 'main' })
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(0), threads: { [root]: counts(1) } })
    const last = await rig.say(alice, roomId, 'main again')
    await rig.read(bob, roomId, last)
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(0), threads: {} })
  })

  it('counts what relates to an event of a thread in that thread', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const root = await rig.say(alice, roomId, 'root')
    const t1 = await rig.sayIn(alice, roomId, root, 't1')
    await rig.sendEvent(alice, roomId, 'm.room.encrypted', {
      algorithm: 'm.megolm.v1.aes-sha2',
      ciphertext: 'a reference',
      'm.relates_to': { rel_type: 'm.reference', event_id: t1 },
    })
    await rig.sendEvent(alice, roomId, 'm.room.encrypted', {
      algorithm: 'm.megolm.v1.aes-sha2',
      ciphertext: 'a reference to the root',
      'm.relates_to': { rel_type: 'm.reference', event_id: root },
    })
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(2), threads: { [root]: counts(2) } })
  })

  it('follows what relates to what over three hops, and not without end', async () => {
    await using server = await startTestServer()
    const { alice, bob, roomId } = await roomOfTwo(server)
    const root = await rig.say(alice, roomId, 'root')
    let parent = await rig.sayIn(alice, roomId, root, 't1')
    for (let hop = 1; hop <= 5; hop += 1) {
      parent = await rig.sendEvent(alice, roomId, 'm.room.encrypted', {
        algorithm: 'm.megolm.v1.aes-sha2',
        ciphertext: `hop ${hop}`,
        'm.relates_to': { rel_type: 'm.reference', event_id: parent },
      })
    }
    // The root, and the two that are too far away; the first of the thread and three behind it.
    expect(await threadsOf(bob, roomId)).toEqual({ main: counts(3), threads: { [root]: counts(4) } })
  })
})
