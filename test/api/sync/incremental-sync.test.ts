import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

let server: TestServer
let alice: Person
let bob: Person
let carol: Person

beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  carol = await server.register('carol')
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
})

const limit = (n: number): string => rig.filterText({ room: { timeline: { limit: n } } })

describe('client-server-api §Syncing: with since', () => {
  it('gives only what came since, in the order of arrival, and nothing twice', async () => {
    const roomId = await rig.createRoom(alice)
    const first = await rig.sync(alice)
    const sent = [await rig.say(alice, roomId, 'one'), await rig.say(alice, roomId, 'two')]
    const second = await rig.sync(alice, { since: first.next_batch })
    const room = rig.mustJoined(second, roomId)
    expect(rig.ids(room.timeline.events)).toEqual(sent)
    expect(room.timeline.limited).toBe(false)
    expect(room.state?.events).toEqual([])
    expect(room.summary).toBeUndefined()
    const third = await rig.sync(alice, { since: second.next_batch })
    expect(third.rooms).toBeUndefined()
    expect(third.account_data).toBeUndefined()
  })

  it('answers the same again when the answer was lost', async () => {
    const roomId = await rig.createRoom(alice)
    const { next_batch: since } = await rig.sync(alice)
    const sent = await rig.say(alice, roomId, 'once more')
    for (const _ of [1, 2]) {
      expect(rig.ids(rig.mustJoined(await rig.sync(alice, { since }), roomId).timeline.events)).toEqual([sent])
    }
  })

  it('leaves a gap where more came than the limit, with the state changes of the gap in state', async () => {
    const roomId = await rig.createRoom(alice, { name: 'Before' })
    const first = await rig.sync(alice, { filter: limit(2) })
    const inGap = await rig.setState(alice, roomId, 'm.room.name', { name: 'In the gap' })
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'Gap' })
    const topic = await rig.setState(alice, roomId, 'm.room.topic', { topic: 'Gap still' })
    await rig.say(alice, roomId, 'm1')
    const inTimeline = await rig.setState(alice, roomId, 'm.room.name', { name: 'Shown' })
    const last = await rig.say(alice, roomId, 'm2')
    const { next_batch, ...second } = await rig.sync(alice, { filter: limit(2), since: first.next_batch })
    const room = rig.mustJoined({ next_batch, ...second }, roomId)
    expect(room.timeline.limited).toBe(true)
    expect(rig.ids(room.timeline.events)).toEqual([inTimeline, last])
    expect(rig.ids(room.state?.events ?? []).toSorted()).toEqual([inGap, topic].toSorted())
    const page = await alice.api.get<{ chunk: rig.WireEvent[] }>(
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`,
      { from: room.timeline.prev_batch, to: first.next_batch, dir: 'b', limit: 50 },
    )
    expect(page.body.chunk.map(({ content }) => content.body ?? content.topic ?? content.name)).toEqual([
      'm1',
      'Gap still',
      'Gap',
      'In the gap',
    ])
  })

  it('gives the state at the end of the timeline in state_after, and no state, where asked for', async () => {
    const roomId = await rig.createRoom(alice, { name: 'Before' })
    const first = await rig.sync(alice, { use_state_after: true })
    expect(rig.mustJoined(first, roomId).state).toBeUndefined()
    expect(rig.mustJoined(first, roomId).state_after?.events.map(({ type }) => type)).toContain('m.room.create')
    await rig.setState(alice, roomId, 'm.room.name', { name: 'Between' })
    const name = await rig.setState(alice, roomId, 'm.room.name', { name: 'After' })
    const second = await rig.sync(alice, { since: first.next_batch, use_state_after: true })
    const room = rig.mustJoined(second, roomId)
    expect(rig.ids(room.state_after?.events ?? [])).toEqual([name])
    expect(room.timeline.events).toHaveLength(2)
    expect(room.state).toBeUndefined()
    await rig.say(alice, roomId, 'no state')
    const third = rig.mustJoined(await rig.sync(alice, { since: second.next_batch, use_state_after: true }), roomId)
    expect(third.state_after).toEqual({ events: [] })
  })

  it('gives state_after alone of a room that was left, too, where asked for', async () => {
    const roomId = await rig.createRoom(alice, { name: 'Before' })
    await rig.join(bob, roomId)
    const { next_batch: since } = await rig.sync(bob)
    const name = await rig.setState(alice, roomId, 'm.room.name', { name: 'After' })
    await rig.leave(bob, roomId)
    const left = async (query: object) => (await rig.sync(bob, { since, ...query })).rooms?.leave?.[roomId]
    const before = await left({})
    expect([before?.state?.events, before?.state_after]).toEqual([[], undefined])
    const after = await left({ use_state_after: true })
    expect(after?.state).toBeUndefined()
    expect(rig.ids(after?.state_after?.events ?? [])).toContain(name)
    expect(rig.membersIn(after?.state_after?.events ?? [])).toEqual([bob.userId])
  })

  it('gives all state, and at once, with full_state', async () => {
    const quiet = await rig.createRoom(alice, { name: 'Quiet' })
    const { next_batch: since } = await rig.sync(alice)
    const body = await rig.sync(alice, { since, full_state: true, timeout: 30_000 })
    const room = rig.mustJoined(body, quiet)
    expect(room.timeline.events).toEqual([])
    expect(room.state?.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name']))
  })

  it('gives a newly joined room whole', async () => {
    const roomId = await rig.createRoom(alice, { name: 'Old room' })
    await rig.say(alice, roomId, 'before bob')
    const { next_batch: since } = await rig.sync(bob)
    await rig.join(bob, roomId)
    const room = rig.mustJoined(await rig.sync(bob, { since, filter: limit(2) }), roomId)
    expect(room.timeline.limited).toBe(true)
    expect(rig.bodies(room)).toEqual(['before bob'])
    expect(room.state?.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name']))
    expect(room.summary).toMatchObject({ 'm.joined_member_count': 2 })
  })

  it('shows of a newly joined room only what the history visibility allows', async () => {
    const roomId = await rig.createRoom(alice, {
      initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }],
    })
    await rig.say(alice, roomId, 'not for bob')
    const { next_batch: since } = await rig.sync(bob)
    await rig.join(bob, roomId)
    await rig.say(alice, roomId, 'for bob')
    const room = rig.mustJoined(await rig.sync(bob, { since }), roomId)
    expect(rig.bodies(room)).toEqual(['for bob'])
  })

  it('gives a room that was left and joined again once more, without what the client has', async () => {
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.say(alice, roomId, 'known')
    const { next_batch: since } = await rig.sync(bob)
    await rig.leave(bob, roomId)
    await rig.say(alice, roomId, 'while away')
    await rig.join(bob, roomId)
    const body = await rig.sync(bob, { since })
    const room = rig.mustJoined(body, roomId)
    expect(rig.bodies(room)).toEqual(['while away'])
    expect(body.rooms?.leave).toBeUndefined()
  })

  it.each(['leave', 'kick', 'ban'] as const)('gives a room that ended by %s, up to then', async (how) => {
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const { next_batch: since } = await rig.sync(bob)
    await rig.say(alice, roomId, 'before')
    if (how === 'leave') await rig.leave(bob, roomId)
    else await (how === 'kick' ? rig.kick : rig.ban)(alice, roomId, bob)
    await rig.say(alice, roomId, 'after')
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'not for bob' })
    const body = await rig.sync(bob, { since })
    expect(rig.joined(body, roomId)).toBeUndefined()
    const room = body.rooms?.leave?.[roomId]
    expect(rig.bodies(room)).toEqual(['before'])
    expect(room?.timeline.events.at(-1)).toMatchObject({
      state_key: bob.userId,
      content: { membership: how === 'ban' ? 'ban' : 'leave' },
    })
    expect(JSON.stringify(room)).not.toContain('not for bob')
    const again = await rig.sync(bob, { since: body.next_batch })
    expect(again.rooms).toBeUndefined()
  })

  it.each<{ full_state?: boolean }>([{}, { full_state: true }])(
    'tells other clients once of a room that was left and forgotten (%j)',
    async (asked) => {
      // Somebody who shares no other room with bob.
      const owner = await server.register(asked.full_state ? 'erin' : 'dave')
      const roomId = await rig.createRoom(owner)
      await rig.join(bob, roomId)
      const { next_batch: since } = await rig.sync(bob)
      await rig.leave(bob, roomId)
      await rig.forget(bob, roomId)
      const body = await rig.sync(bob, { since, ...asked })
      expect(rig.joined(body, roomId)).toBeUndefined()
      expect(body.rooms?.leave?.[roomId]?.timeline.events.at(-1)).toMatchObject({
        state_key: bob.userId,
        content: { membership: 'leave' },
      })
      expect(body.device_lists?.left).toEqual([owner.userId])
      const { body: keys } = await bob.api.get<{ left: string[] }>('/_matrix/client/v3/keys/changes', {
        from: since,
        to: body.next_batch,
      })
      expect(keys.left).toEqual([owner.userId])
      const again = await rig.sync(bob, { since: body.next_batch, ...asked })
      expect(again.rooms?.leave?.[roomId]).toBeUndefined()
      await rig.invite(owner, roomId, bob)
      expect(Object.keys((await rig.sync(bob, { since })).rooms?.invite ?? {})).toEqual([roomId])
    },
  )

  it('gives invites and knocks once, and what becomes of them', async () => {
    const roomId = await rig.createRoom(alice, { preset: 'private_chat' })
    const first = await rig.sync(bob)
    await rig.invite(alice, roomId, bob)
    const second = await rig.sync(bob, { since: first.next_batch })
    expect(second.rooms?.invite?.[roomId]?.invite_state.events.at(-1)).toMatchObject({
      state_key: bob.userId,
      content: { membership: 'invite' },
    })
    expect((await rig.sync(bob, { since: second.next_batch })).rooms).toBeUndefined()
    await rig.leave(bob, roomId)
    const third = await rig.sync(bob, { since: second.next_batch })
    expect(rig.ids(third.rooms?.leave?.[roomId]?.timeline.events ?? [])).toHaveLength(1)
    expect(third.rooms?.leave?.[roomId]?.state?.events).toEqual([])

    const knocked = await rig.createRoom(alice, {
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }],
      preset: 'private_chat',
    })
    await rig.knock(bob, knocked)
    const fourth = await rig.sync(bob, { since: third.next_batch })
    expect(fourth.rooms?.knock?.[knocked]?.knock_state.events.at(-1)).toMatchObject({
      state_key: bob.userId,
      content: { membership: 'knock' },
    })
  })

  it('sends a summary when members come and go, or the name that stood for them', async () => {
    const roomId = await rig.createRoom(alice, { name: 'Named' })
    const first = await rig.sync(alice)
    expect(rig.mustJoined(first, roomId).summary?.['m.heroes']).toBeUndefined()
    await rig.join(bob, roomId)
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(rig.mustJoined(second, roomId).summary).toMatchObject({ 'm.joined_member_count': 2 })
    await rig.setState(alice, roomId, 'm.room.name', { name: '' })
    const third = await rig.sync(alice, { since: second.next_batch })
    expect(rig.mustJoined(third, roomId).summary).toMatchObject({ 'm.heroes': [bob.userId] })
  })

  it('hides messages of ignored users and their invites, but not their state events', async () => {
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.join(carol, roomId)
    await rig.setAccountData(carol, 'm.ignored_user_list', { ignored_users: { [alice.userId]: {} } })
    const first = await rig.sync(carol)
    await rig.say(alice, roomId, 'unheard')
    await rig.setState(alice, roomId, 'm.room.topic', { topic: 'seen' })
    await rig.say(bob, roomId, 'heard')
    const invited = await rig.createRoom(alice, { preset: 'private_chat' })
    await rig.invite(alice, invited, carol)
    const second = await rig.sync(carol, { since: first.next_batch })
    const room = rig.mustJoined(second, roomId)
    expect(rig.bodies(room)).toEqual(['heard'])
    expect(room.timeline.events[0]?.type).toBe('m.room.topic')
    expect(second.rooms?.invite).toBeUndefined()
    await rig.setAccountData(carol, 'm.ignored_user_list', { ignored_users: {} })
    await rig.say(alice, roomId, 'heard again')
    expect(rig.bodies(rig.mustJoined(await rig.sync(carol, { since: second.next_batch }), roomId))).toEqual([
      'heard again',
    ])
  })

  it('ignores and heeds a user at once, on all devices, and gives nothing of what was missed', async () => {
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    const phone = await server.login('bob')
    const since = new Map<Person, string>()
    for (const device of [bob, phone]) since.set(device, (await rig.sync(device)).next_batch)
    /** The room in each device's next sync. */
    const news = async () => {
      const rooms: (rig.JoinedRoom | undefined)[] = []
      for (const [device, from] of since) {
        const body = await rig.sync(device, { since: from })
        since.set(device, body.next_batch)
        rooms.push(rig.joined(body, roomId))
      }
      return rooms.map(rig.bodies)
    }
    await rig.say(alice, roomId, 'heard')
    expect(await news()).toEqual([['heard'], ['heard']])
    await rig.setAccountData(bob, 'm.ignored_user_list', { ignored_users: { [alice.userId]: {} } })
    await rig.say(alice, roomId, 'missed')
    const invited = await rig.createRoom(alice, { preset: 'private_chat' })
    await rig.invite(alice, invited, bob)
    expect(await news()).toEqual([[], []])
    for (const device of [bob, phone]) expect((await rig.sync(device)).rooms?.invite?.[invited]).toBeUndefined()
    await rig.setAccountData(phone, 'm.ignored_user_list', { ignored_users: {} })
    await rig.say(alice, roomId, 'heard again')
    expect(await news()).toEqual([['heard again'], ['heard again']])
    expect(rig.bodies(rig.mustJoined(await rig.sync(phone), roomId))).toEqual(['heard', 'missed', 'heard again'])
  })

  it('gives account data that changed, of the user and of rooms', async () => {
    const roomId = await rig.createRoom(alice)
    const first = await rig.sync(alice)
    await rig.setAccountData(alice, 'org.example.mood', { is: 'good' })
    await rig.setAccountData(alice, 'org.example.here', { at: 1 }, roomId)
    const second = await rig.sync(alice, { since: first.next_batch })
    expect(second.account_data?.events).toEqual([{ type: 'org.example.mood', content: { is: 'good' } }])
    expect(rig.mustJoined(second, roomId).account_data.events).toEqual([
      { type: 'org.example.here', content: { at: 1 } },
    ])
  })

  it.each(['nonsense', 's', 's12x', 's-5', 's5_!', '{}'])('refuses %j as since', async (since) => {
    const reply = await rig.trySync(alice, { since })
    expect(reply.status).toBe(400)
    expect(reply.body).toMatchObject({ errcode: 'M_INVALID_PARAM' })
  })

  it('refuses a since that it has not given out yet, without waiting', async () => {
    const reply = await rig.trySync(alice, { since: 's999999999', timeout: 30_000 })
    expect(reply).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_POS' } })
  })

  it('shows the transaction ID to the device that sent the event alone', async () => {
    const phone = await server.login('alice')
    const roomId = await rig.createRoom(alice)
    await rig.say(alice, roomId, 'echo')
    const unsignedFor = async (who: Person) =>
      rig.mustJoined(await rig.sync(who), roomId).timeline.events.at(-1)?.unsigned
    expect(await unsignedFor(alice)).toHaveProperty('transaction_id')
    expect(await unsignedFor(phone)).not.toHaveProperty('transaction_id')
  })
})
