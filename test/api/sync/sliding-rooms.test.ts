import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'
import { bodiesOf, listTo, roomsIn, type SlidingRoom, slide, stateOf, trySlide } from '../../sync/sliding-rig.ts'

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
async function two(wish: Record<string, unknown> = {}): Promise<{ alice: Person; bob: Person; room: string }> {
  const [alice, bob] = [await somebody(), await somebody()]
  const room = await rig.createRoom(alice, wish)
  await rig.join(bob, room)
  return { alice, bob, room }
}
const MANY = { timeline_limit: 20 }

describe('MSC4186 §RoomResult', () => {
  it('names the room: by name and avatar, else by heroes with their profiles', async () => {
    const { alice, bob, room } = await two()
    await rig.setState(bob, room, 'm.room.member', { membership: 'join', displayname: 'Bob' }, bob.userId)
    const first = await slide(alice, listTo(9))
    expect(first.rooms[room]).toMatchObject({
      heroes: [{ user_id: bob.userId, displayname: 'Bob' }],
      joined_count: 2,
      invited_count: 0,
    })
    expect(first.rooms[room]).not.toHaveProperty('name')
    await rig.setState(alice, room, 'm.room.name', { name: 'Den' })
    await rig.setState(alice, room, 'm.room.avatar', { url: 'mxc://hearth.test/a' })
    const second = await slide(alice, listTo(9), { pos: first.pos })
    expect(second.rooms[room]).toMatchObject({ name: 'Den', avatar: 'mxc://hearth.test/a' })
    for (const key of ['heroes', 'joined_count']) expect(second.rooms[room]).not.toHaveProperty(key)
    await rig.setState(alice, room, 'm.room.name', {})
    const third = await slide(alice, listTo(9), { pos: second.pos })
    expect(third.rooms[room]).toMatchObject({ name: null, heroes: [{ user_id: bob.userId }] })
    expect(third.rooms[room]).not.toHaveProperty('avatar')
  })

  it('leaves heroes out where they are not wanted', async () => {
    const { alice, room } = await two()
    const body = await slide(alice, listTo(9, { include_heroes: false }))
    expect(body.rooms[room]).not.toHaveProperty('heroes')
  })

  it('counts what is unread, and tells again when it was read', async () => {
    const { alice, bob, room } = await two()
    const first = await slide(bob, listTo(9))
    expect(first.rooms[room]).toMatchObject({ notification_count: 0, highlight_count: 0 })
    const said = await rig.say(alice, room, 'hello')
    const second = await slide(bob, listTo(9), { pos: first.pos })
    expect(second.rooms[room]).toMatchObject({ notification_count: 1, highlight_count: 0 })
    await rig.read(bob, room, said)
    const third = await slide(bob, listTo(9), { pos: second.pos })
    expect(third.rooms[room]).toMatchObject({ notification_count: 0 })
    await rig.read(alice, room, said)
    expect((await slide(bob, listTo(9), { pos: third.pos })).rooms).toEqual({})
  })

  it('moves bump_stamp with messages, not with state', async () => {
    const { alice, room } = await two()
    const stamp = async () => (await slide(alice, listTo(9))).rooms[room]?.bump_stamp ?? 0
    const before = await stamp()
    await rig.setState(alice, room, 'm.room.topic', { topic: 'no bump' })
    expect(await stamp()).toBe(before)
    await rig.say(alice, room, 'bump')
    expect(await stamp()).toBeGreaterThan(before)
  })

  it('has only the newest events, with a token to page back from', async () => {
    const { alice, room } = await two()
    for (const text of ['one', 'two', 'three']) await rig.say(alice, room, text)
    const body = await slide(alice, listTo(9, { timeline_limit: 2 }))
    const shown = body.rooms[room] as SlidingRoom
    expect(bodiesOf(shown)).toEqual(['two', 'three'])
    expect(shown).toMatchObject({ limited: true, num_live: 0 })
    for (const from of [shown.prev_batch, body.pos]) {
      const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/messages`
      const page = await alice.api.get<{ chunk: rig.WireEvent[] }>(path, { dir: 'b', limit: 1, from })
      expect(page.body.chunk[0]?.content.body).toBe(from === body.pos ? 'three' : 'one')
    }
  })

  it('is limited where more came than the limit, and has the state that changed in the gap', async () => {
    const { alice, room } = await two()
    const list = listTo(9, { timeline_limit: 1, required_state: [['m.room.topic', '']] })
    const first = await slide(alice, list)
    await rig.setState(alice, room, 'm.room.topic', { topic: 'in the gap' })
    await rig.say(alice, room, 'newest')
    const second = await slide(alice, list, { pos: first.pos })
    expect(second.rooms[room]).toMatchObject({ limited: true, num_live: 1 })
    expect(bodiesOf(second.rooms[room])).toEqual(['newest'])
    expect(second.rooms[room]?.required_state?.[0]?.content.topic).toBe('in the gap')
  })

  it('counts as live what came since the last answer, in a room that is new to the client', async () => {
    const { alice, bob } = await two()
    const first = await slide(bob, listTo(9, MANY))
    const room = await rig.createRoom(alice)
    await rig.say(alice, room, 'before')
    const between = await slide(bob, listTo(9, MANY), { pos: first.pos })
    await rig.join(bob, room)
    const last = await slide(bob, listTo(9, MANY), { pos: between.pos })
    expect(last.rooms[room]).toMatchObject({ initial: true, num_live: 1 })
    expect(bodiesOf(last.rooms[room])).toContain('before')
  })

  it('shows only what history visibility allows, and nothing of ignored users', async () => {
    const [alice, bob, carol] = [await somebody(), await somebody(), await somebody()]
    const room = await rig.createRoom(alice, {
      initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }],
    })
    await rig.say(alice, room, 'before bob')
    await rig.join(bob, room)
    await rig.join(carol, room)
    await rig.say(alice, room, 'for bob')
    await rig.setAccountData(bob, 'm.ignored_user_list', { ignored_users: { [carol.userId]: {} } })
    await rig.say(carol, room, 'not for bob')
    const body = await slide(bob, listTo(9, MANY))
    expect(bodiesOf(body.rooms[room])).toContain('for bob')
    for (const hidden of ['before bob', 'not for bob']) expect(bodiesOf(body.rooms[room])).not.toContain(hidden)
  })

  it('tells a kicked user nothing of what came after', async () => {
    const { alice, bob, room } = await two()
    const list = listTo(9, { required_state: [['*', '*']], timeline_limit: 10 })
    const first = await slide(bob, list)
    await rig.kick(alice, room, bob)
    const second = await slide(bob, list, { pos: first.pos })
    await rig.setState(alice, room, 'm.room.name', { name: 'Without bob' })
    await rig.ban(alice, room, bob)
    const third = await slide(bob, list, { pos: second.pos })
    expect(stateOf(third.rooms[room])).toEqual([`m.room.member|${bob.userId}`])
    const other = await slide(bob, listTo(9, { required_state: [['m.room.name', '']] }), { pos: third.pos })
    expect(JSON.stringify(other)).not.toContain('Without bob')
    const anew = await slide(bob, list)
    for (const seen of [third.rooms[room], anew.rooms[room]]) {
      expect(seen).toMatchObject({ membership: 'ban' })
      expect(JSON.stringify(seen)).not.toContain('Without bob')
    }
  })
})

describe('MSC4186 §RequiredStateRequest', () => {
  it('takes pairs with wildcards and $ME', async () => {
    const { alice, bob, room } = await two({ name: 'Den', topic: 'Talk' })
    const state = async (required_state: [string, string][]) =>
      stateOf((await slide(bob, listTo(9, { required_state }))).rooms[room])
    expect(await state([])).toEqual([])
    expect(await state([['m.room.name', '']])).toEqual(['m.room.name|'])
    expect(await state([['m.room.member', '*']])).toEqual(
      [alice, bob].map(({ userId }) => `m.room.member|${userId}`).toSorted(),
    )
    expect(await state([['*', '$ME']])).toEqual([`m.room.member|${bob.userId}`])
    const all = await state([['*', '*']])
    expect(all).toEqual(expect.arrayContaining(['m.room.create|', 'm.room.topic|', `m.room.member|${alice.userId}`]))
  })

  it('takes objects, what is excluded, and lazy members in the newer form', async () => {
    const { alice, bob, room } = await two({ name: 'Den' })
    await rig.say(bob, room, 'hi')
    const pairs = await slide(alice, listTo(9, { required_state: [{ type: 'm.room.name' }] }))
    expect(stateOf(pairs.rooms[room])).toEqual(['m.room.name|'])
    const required_state = { include: [{}], exclude: [{ type: 'm.room.create' }], lazy_members: true }
    const state = stateOf((await slide(alice, listTo(9, { required_state }))).rooms[room])
    expect(state).toContain('m.room.name|')
    expect(state).not.toContain('m.room.create|')
    expect(state.filter((name) => name.startsWith('m.room.member'))).toEqual([`m.room.member|${bob.userId}`])
  })

  it('sends members lazily: senders of the timeline, each once on a connection', async () => {
    const { alice, bob, room } = await two()
    await rig.say(alice, room, 'first')
    const list = listTo(9, {
      required_state: [
        ['m.room.member', '$LAZY'],
        ['*', '*'],
      ],
    })
    const first = await slide(bob, list)
    expect(stateOf(first.rooms[room]).filter((name) => name.startsWith('m.room.member'))).toEqual([
      `m.room.member|${alice.userId}`,
    ])
    await rig.say(alice, room, 'second')
    const second = await slide(bob, list, { pos: first.pos })
    expect(stateOf(second.rooms[room])).toEqual([])
    await rig.say(bob, room, 'third')
    for (let again = 0; again < 2; again += 1) {
      // The first of these answers may have been lost.
      const third = await slide(bob, list, { pos: second.pos })
      expect(stateOf(third.rooms[room])).toEqual([`m.room.member|${bob.userId}`])
    }
  })

  it('sends each change of a member while nothing is missed, though nobody needs it', async () => {
    const { alice, bob, room } = await two()
    const carol = await somebody()
    await rig.join(carol, room)
    const list = listTo(9, { timeline_limit: 5, required_state: [['m.room.member', '$LAZY']] })
    const first = await slide(bob, list)
    await rig.kick(alice, room, carol)
    const second = await slide(bob, list, { pos: first.pos })
    expect(stateOf(second.rooms[room])).toContain(`m.room.member|${carol.userId}`)
  })

  it('sends at once what a wider request adds', async () => {
    const { alice, room } = await two({ name: 'Den', topic: 'Talk' })
    const first = await slide(alice, listTo(9, { required_state: [['m.room.name', '']] }))
    const wider = listTo(9, {
      required_state: [
        ['m.room.name', ''],
        ['m.room.topic', ''],
      ],
    })
    const second = await slide(alice, wider, { pos: first.pos, timeout: 30_000 })
    expect(stateOf(second.rooms[room])).toEqual(['m.room.topic|'])
    expect((await slide(alice, wider, { pos: second.pos })).rooms).toEqual({})
  })
})

describe('MSC4186 §Subscriptions, §Changing room configs', () => {
  const subscription = (room: string, timeline_limit: number) => ({
    room_subscriptions: { [room]: { timeline_limit, required_state: [['m.room.name', '']] as [string, string][] } },
  })

  it('gives a room that is subscribed to, with what all rules for it ask together', async () => {
    const { alice, room } = await two({ name: 'Den', topic: 'Talk' })
    await rig.say(alice, room, 'one')
    await rig.say(alice, room, 'two')
    const body = await slide(alice, {
      ...listTo(9, { required_state: [['m.room.topic', '']] }),
      ...subscription(room, 2),
    })
    expect(bodiesOf(body.rooms[room])).toEqual(['one', 'two'])
    expect(stateOf(body.rooms[room])).toEqual(['m.room.name|', 'm.room.topic|'])
    const only = await slide(alice, { conn_id: 'x', ...subscription(room, 1) })
    expect(roomsIn(only)).toEqual([room])
    expect(only.rooms[room]).not.toHaveProperty('lists')
  })

  it('passes over rooms that one has nothing to do with, or that are not', async () => {
    const { room } = await two()
    const carol = await somebody()
    for (const id of [room, '!nowhere:hearth.test']) {
      expect((await slide(carol, subscription(id, 1))).rooms).toEqual({})
    }
  })

  it('expands the timeline at once, and not where all of it was sent', async () => {
    const { alice, room } = await two()
    for (const text of ['a', 'b', 'c', 'd']) await rig.say(alice, room, text)
    const first = await slide(alice, listTo(9))
    expect(bodiesOf(first.rooms[room])).toEqual(['d'])
    await rig.say(alice, room, 'e')
    const second = await slide(alice, { ...listTo(9), ...subscription(room, 3) }, { pos: first.pos, timeout: 30_000 })
    expect(bodiesOf(second.rooms[room])).toEqual(['c', 'd', 'e'])
    expect(second.rooms[room]).toMatchObject({ unstable_expanded_timeline: true, limited: true, num_live: 1 })
    expect(second.rooms[room]).not.toHaveProperty('initial')
    const shrunk = await slide(alice, listTo(9), { pos: second.pos })
    expect(shrunk.rooms).toEqual({})
    const same = await slide(alice, { ...listTo(9), ...subscription(room, 3) }, { pos: shrunk.pos })
    expect(same.rooms).toEqual({})
    const whole = await slide(alice, { ...listTo(9), ...subscription(room, 100) }, { pos: same.pos })
    expect(whole.rooms[room]).toMatchObject({ unstable_expanded_timeline: true, limited: false })
    const more = await slide(alice, { ...listTo(9), ...subscription(room, 150) }, { pos: whole.pos })
    expect(more.rooms).toEqual({})
  })

  it('expands again after a gap', async () => {
    const { alice, room } = await two()
    const wide = { ...listTo(9), ...subscription(room, 4) }
    const first = await slide(alice, wide)
    for (const text of ['a', 'b', 'c']) await rig.say(alice, room, text)
    const narrow = await slide(alice, listTo(9), { pos: first.pos })
    expect(bodiesOf(narrow.rooms[room])).toEqual(['c'])
    const back = await slide(alice, wide, { pos: narrow.pos })
    expect(bodiesOf(back.rooms[room]).slice(1)).toEqual(['a', 'b', 'c'])
    expect(back.rooms[room]?.unstable_expanded_timeline).toBe(true)
  })

  it('lets a former member look at a room that they left, up to then', async () => {
    const { alice, bob, room } = await two()
    await rig.say(alice, room, 'while there')
    await rig.leave(bob, room)
    await rig.say(alice, room, 'too late')
    const body = await slide(bob, subscription(room, 2))
    expect(body.rooms[room]).toMatchObject({ membership: 'leave', initial: true })
    expect(bodiesOf(body.rooms[room])).toEqual(['while there', 'm.room.member'])
  })
})

describe('MSC4186 §Connections', () => {
  it('tells it all again where an answer was lost, and more that came since', async () => {
    const { alice, room } = await two()
    const first = await slide(alice, listTo(9, MANY))
    await rig.say(alice, room, 'one')
    await slide(alice, listTo(9, MANY), { pos: first.pos })
    await rig.say(alice, room, 'two')
    const again = await slide(alice, listTo(9, MANY), { pos: first.pos })
    expect(bodiesOf(again.rooms[room])).toEqual(['one', 'two'])
    expect((await slide(alice, listTo(9, MANY), { pos: again.pos })).rooms).toEqual({})
  })

  it('takes the answer before the last one, where only its successor was lost', async () => {
    const { alice, room } = await two()
    const first = await slide(alice, listTo(9, MANY))
    await rig.say(alice, room, 'one')
    const answers = [
      await slide(alice, listTo(9, MANY), { pos: first.pos }),
      await slide(alice, listTo(9, MANY), { pos: first.pos }),
    ]
    const next = await slide(alice, listTo(9, MANY), { pos: answers[0]?.pos as string })
    expect(next.rooms).toEqual({})
    const stale = await trySlide(alice, listTo(9, MANY), { pos: answers[1]?.pos as string })
    expect(stale).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_POS' } })
  })

  it('keeps connections of one device apart', async () => {
    const { alice, room } = await two()
    const a = await slide(alice, { conn_id: 'a', ...listTo(9) })
    const b = await slide(alice, { conn_id: 'b', ...listTo(9) })
    expect(roomsIn(b)).toEqual([room])
    await rig.say(alice, room, 'news')
    for (const [conn_id, pos] of [
      ['a', a.pos],
      ['b', b.pos],
    ] as const) {
      expect(roomsIn(await slide(alice, { conn_id, ...listTo(9) }, { pos }))).toEqual([room])
    }
    const crossed = await trySlide(alice, { conn_id: 'b', ...listTo(9) }, { pos: a.pos })
    expect(crossed).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_POS' } })
  })

  it('takes no position of somebody else, of an old connection, or that is none', async () => {
    const { alice, bob } = await two()
    const { pos } = await slide(alice, listTo(9))
    const refused = { status: 400, body: { errcode: 'M_UNKNOWN_POS' } }
    expect(await trySlide(bob, listTo(9), { pos })).toMatchObject(refused)
    await slide(alice, listTo(9))
    expect(await trySlide(alice, listTo(9), { pos })).toMatchObject(refused)
    expect(await trySlide(alice, listTo(9), { pos: 'nonsense' })).toMatchObject(refused)
  })

  it('forgets the oldest connection of a device that opens many', async () => {
    const { alice } = await two()
    const { pos } = await slide(alice, { conn_id: 'oldest', ...listTo(0) })
    const kept = await slide(alice, { conn_id: 'kept', ...listTo(0) })
    for (let i = 0; i < 9; i += 1) await slide(alice, { conn_id: `c${i}`, ...listTo(0) })
    expect(await trySlide(alice, { conn_id: 'oldest', ...listTo(0) }, { pos })).toMatchObject({ status: 400 })
    expect(await trySlide(alice, { conn_id: 'kept', ...listTo(0) }, { pos: kept.pos })).toMatchObject({ status: 200 })
  })
})
