import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { act, type ClientEvent, forget, join, leave, newRoom, roomPath, send, setState } from '../support/room-calls.ts'
import { ask, edit, find, ids, indexText, redact } from '../support/search-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
let roomId: string
beforeEach(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
  roomId = await newRoom(alice, { preset: 'public_chat' })
  await join(bob, roomId)
})
afterEach(() => server[Symbol.asyncDispose]())

describe('client-server-api §Server Side Search', () => {
  it('finds all words, their beginnings too, whatever their case and accents', async () => {
    const first = await send(alice, roomId, 'Martians and men at the Café')
    await send(alice, roomId, 'only martians')
    const found = await find(bob, 'cafe MART')
    expect(ids(found)).toEqual([first])
    expect(found.count).toBe(1)
    expect(found.highlights.toSorted()).toEqual(['Café', 'Martians'])
    expect(found.results[0]).toMatchObject({
      rank: expect.any(Number),
      result: { room_id: roomId, sender: alice.userId },
    })
    expect(ids(await find(bob, 'artians'))).toEqual([])
    expect(await find(bob, '?!')).toMatchObject({ count: 0, results: [] })
  })

  it.each([
    ['東京都に行きました', '京都', '大阪'],
    ['東京都に行きました', '都', '海'],
    ['สวัสดีครับ', 'ครับ', 'ค่ะ'],
    ['नमस्ते दुनिया', 'दुनिया', 'दिन'],
    ['Über die Straße', 'strasse', 'stras se'],
  ])('finds within %s: %s', async (text, yes, no) => {
    const eventId = await send(alice, roomId, text)
    expect(ids(await find(bob, yes))).toEqual([eventId])
    expect(ids(await find(bob, no))).toEqual([])
  })

  it('searches bodies, names and topics, or those that are asked for', async () => {
    const body = await send(alice, roomId, 'garden')
    const name = (await setState(alice, roomId, 'm.room.name', { name: 'The garden' })).body.event_id
    const topic = (await setState(alice, roomId, 'm.room.topic', { topic: 'in my garden' })).body.event_id
    expect(ids(await find(bob, 'garden'))).toEqual([topic, name, body])
    expect(ids(await find(bob, 'garden', { keys: ['content.name'] }))).toEqual([name])
    expect(ids(await find(bob, 'garden', { keys: ['content.topic', 'content.body'] }))).toEqual([topic, body])
    expect((await ask(bob, { search_term: 'garden', keys: ['content.url'] })).body.errcode).toBe('M_BAD_JSON')
  })

  it('orders by rank, or newest first', async () => {
    const best = await send(alice, roomId, 'apple apple pie')
    const long = await send(alice, roomId, `an apple ${'and much else '.repeat(20)}`)
    expect(ids(await find(bob, 'apple', { order_by: 'rank' }))).toEqual([best, long])
    expect(ids(await find(bob, 'apple'))).toEqual([long, best])
  })

  it.each(['rank', 'recent'])(
    'gives page after page by %s, each result once, whatever is said meanwhile',
    async (order) => {
      const said: string[] = []
      for (let i = 0; i < 12; i += 1) said.push(await send(alice, roomId, `plum ${'x '.repeat(i % 4)}`))
      const seen: string[] = []
      let next: string | undefined
      do {
        const page = await find(bob, 'plum', { order_by: order, filter: { limit: 5 } }, next)
        expect(page.count).toBe(12)
        seen.push(...ids(page))
        next = page.next_batch
        await send(alice, roomId, 'plum again')
      } while (next !== undefined)
      expect(seen.toSorted()).toEqual(said.toSorted())
      if (order === 'recent') expect(seen).toEqual(said.toReversed())
      const { status, body } = await ask(bob, { search_term: 'plum' }, 'none of ours')
      expect([status, body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
    },
  )

  it('shows only what the filter lets through', async () => {
    const other = await newRoom(bob)
    const one = await send(alice, roomId, 'pear one')
    const two = await send(bob, roomId, 'pear two')
    const three = await send(bob, other, 'pear three')
    expect(ids(await find(bob, 'pear', { filter: { rooms: [roomId] } }))).toEqual([two, one])
    expect(ids(await find(bob, 'pear', { filter: { not_rooms: [roomId] } }))).toEqual([three])
    expect(ids(await find(bob, 'pear', { filter: { senders: [alice.userId] } }))).toEqual([one])
    expect(ids(await find(bob, 'pear', { filter: { contains_url: true } }))).toEqual([])
    expect((await find(bob, 'pear', { filter: { limit: 1 } })).results).toHaveLength(1)
  })

  it('groups by room and by sender, and goes on within a group', async () => {
    const other = await newRoom(bob)
    const one = await send(alice, roomId, 'kiwi')
    const two = await send(bob, roomId, 'kiwi')
    const three = await send(bob, other, 'kiwi')
    const groupings = { group_by: [{ key: 'room_id' }, { key: 'sender' }] }
    const { groups } = await find(bob, 'kiwi', { groupings })
    expect(groups).toEqual({
      room_id: { [other]: { order: 1, results: [three] }, [roomId]: { order: 2, results: [two, one] } },
      sender: { [bob.userId]: { order: 1, results: [three, two] }, [alice.userId]: { order: 2, results: [one] } },
    })
    const page = await find(bob, 'kiwi', { groupings, filter: { limit: 2 } })
    const token = page.groups?.sender?.[bob.userId]?.next_batch
    expect(token).toBeDefined()
    expect(ids(await find(bob, 'kiwi', { groupings }, token))).toEqual([])
    expect(ids(await find(bob, 'kiwi', { groupings }, page.groups?.room_id?.[roomId]?.next_batch))).toEqual([one])
  })

  it('shows what was said around a result, the names of then, and the state of the room', async () => {
    const rename = (displayname: string) =>
      setState(alice, roomId, 'm.room.member', { membership: 'join', displayname }, alice.userId)
    await rename('Alice then')
    for (const text of ['a', 'b', 'fig', 'c', 'd']) await send(alice, roomId, text)
    await rename('Alice now')
    const event_context = { before_limit: 1, after_limit: 2, include_profile: true }
    const { results, state } = await find(bob, 'fig', { event_context, include_state: true })
    const context = results[0]?.context
    expect(context?.events_before.map(({ content }) => content.body)).toEqual(['b'])
    expect(context?.events_after.map(({ content }) => content.body)).toEqual(['c', 'd'])
    expect(context?.profile_info?.[alice.userId]).toMatchObject({ displayname: 'Alice then' })
    const earlier = await bob.api.get<{ chunk: readonly ClientEvent[] }>(roomPath(roomId, '/messages'), {
      dir: 'b',
      from: context?.start ?? '',
      limit: 1,
    })
    expect(earlier.body.chunk[0]?.content.body).toBe('a')
    expect(state?.[roomId]?.map(({ type }) => type)).toContain('m.room.create')
  })
})

describe('client-server-api §Server Side Search, what a user may find', () => {
  it('finds in rooms that the user left what they could see then, and nothing in those of others or forgotten ones', async () => {
    const secret = await newRoom(alice)
    await send(alice, secret, 'lemon secret')
    const before = await send(alice, roomId, 'lemon before')
    expect(ids(await find(bob, 'lemon'))).toEqual([before])
    await leave(bob, roomId)
    await send(alice, roomId, 'lemon after')
    const found = await find(bob, 'lemon', { include_state: true })
    expect(ids(found)).toEqual([before])
    expect(found.count).toBe(1)
    await act(alice, 'invite', secret, bob)
    expect(ids(await find(bob, 'lemon'))).toEqual([before])
    await forget(bob, roomId)
    expect(await find(bob, 'lemon')).toMatchObject({ count: 0, results: [] })
  })

  it('keeps to the history visibility, also in the count', async () => {
    const room = await newRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    })
    await send(alice, room, 'melon hidden')
    await join(bob, room)
    const seen = await send(alice, room, 'melon seen')
    const found = await find(bob, 'melon', { event_context: { before_limit: 10 } })
    expect(ids(found)).toEqual([seen])
    expect(found.count).toBe(1)
    expect(JSON.stringify(found)).not.toContain('melon hidden')
  })

  it('leaves out ignored users, as results and around them', async () => {
    await send(alice, roomId, 'grape of alice')
    const own = await send(bob, roomId, 'grape of bob')
    await bob.api.put(`/_matrix/client/v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      ignored_users: { [alice.userId]: {} },
    })
    const found = await find(bob, 'grape', { event_context: {} })
    expect(ids(found)).toEqual([own])
    expect(found.results[0]?.context?.events_before.map(({ content }) => content.body)).not.toContain('grape of alice')
  })

  it('never finds what is encrypted', async () => {
    const content = { algorithm: 'm.megolm.v1.aes-sha2', ciphertext: 'cherry', body: 'cherry' }
    await send(alice, roomId, { type: 'm.room.encrypted', content })
    expect(ids(await find(alice, 'cherry'))).toEqual([])
    expect(await indexText(server.dataDir)).not.toContain('cherry')
  })

  it('finds the text of the newest edit, bundled with the event, and after its redaction the one before', async () => {
    const original = await send(alice, roomId, 'banana')
    expect(ids(await find(bob, 'banana'))).toEqual([original])
    const change = await edit(alice, roomId, original, 'mango')
    await edit(bob, roomId, original, 'papaya')
    const found = await find(bob, 'mango')
    expect(ids(found)).toEqual([original])
    expect(found.results[0]?.result.unsigned['m.relations']).toMatchObject({ 'm.replace': { event_id: change } })
    expect(ids(await find(bob, 'banana'))).toEqual([])
    expect(ids(await find(bob, 'papaya'))).toEqual([])
    await redact(alice, roomId, change)
    expect(ids(await find(bob, 'mango'))).toEqual([])
    expect(ids(await find(bob, 'banana'))).toEqual([original])
  })
})
