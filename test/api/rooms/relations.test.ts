import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  bundleOf,
  children,
  edit,
  ids,
  ignore,
  type Parent,
  react,
  redact,
  relate,
  reply,
  threads,
} from '../../support/relation-calls.ts'
import { join, leave, messages, newRoom, send, setState } from '../../support/room-calls.ts'
import { faultsOfReply } from '../../support/spec-schema.ts'
import { type Person, startTestServer, type TestServer } from '../../support/test-server.ts'

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
afterAll(() => server[Symbol.asyncDispose]())

const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const badParam = { status: 400, body: { errcode: 'M_INVALID_PARAM' } }

async function roomOfBoth(): Promise<string> {
  const roomId = await newRoom(alice, { preset: 'public_chat' })
  await join(bob, roomId)
  return roomId
}

describe('client-server-api §Relationships API', () => {
  it('gives the children of an event, most recent first, by type of relation and of event', async () => {
    const roomId = await roomOfBoth()
    const event = await send(alice, roomId, 'event')
    const inThread = await reply(bob, roomId, event, 'reply')
    const like = (await react(bob, roomId, event, '👍')).body.event_id
    const edited = await edit(alice, roomId, event, 'edited')
    const vote = (await react(alice, roomId, event, 'yes', 'org.example.vote')).body.event_id
    await send(alice, roomId, {
      type: 'm.room.message',
      content: { msgtype: 'm.text', body: 'a reply', 'm.relates_to': { 'm.in_reply_to': { event_id: event } } },
    })
    const all = await children(alice, roomId, event)
    expect(faultsOfReply('getRelatingEvents', all.body)).toEqual([])
    expect(ids(all.body.chunk)).toEqual([vote, edited, like, inThread])
    expect(all.body.next_batch).toBeUndefined()
    expect(all.body.prev_batch).toBeUndefined()
    expect(all.body.recursion_depth).toBeUndefined()
    expect(all.body.chunk[0]?.room_id).toBe(roomId)
    const forward = await children(alice, roomId, event, '', { dir: 'f' })
    expect(ids(forward.body.chunk)).toEqual([inThread, like, edited, vote])
    const filtered = async (filter: string) => ids((await children(alice, roomId, event, filter)).body.chunk)
    expect(await filtered('/m.annotation')).toEqual([vote, like])
    expect(await filtered('/m.annotation/m.reaction')).toEqual([like])
    expect(await filtered('/m.replace')).toEqual([edited])
    expect(await filtered('/org.example.none')).toEqual([])
  })

  it('pages in both directions, each event once, with tokens of its own, of /messages and of /sync', async () => {
    const roomId = await roomOfBoth()
    const event = await send(alice, roomId, 'event')
    const sent: string[] = []
    for (let i = 0; i < 7; i += 1) {
      sent.push(await reply(bob, roomId, event, `${i}`))
      await send(alice, roomId, 'in between')
    }
    for (const dir of ['b', 'f']) {
      const seen: string[] = []
      let from: string | undefined
      let pages = 0
      do {
        const { body } = await children(alice, roomId, event, '/m.thread', { dir, limit: 3, ...(from && { from }) })
        expect(body.prev_batch).toBe(from)
        seen.push(...ids(body.chunk))
        from = body.next_batch
        pages += 1
      } while (from !== undefined)
      expect(pages).toBe(3)
      expect(seen).toEqual(dir === 'f' ? sent : sent.toReversed())
    }
    const page = (await messages(alice, roomId, { limit: 4 })).body
    const older = await children(alice, roomId, event, '', { from: page.end ?? '' })
    expect(ids(older.body.chunk)).toEqual(sent.slice(0, 5).toReversed())
    const newer = await children(alice, roomId, event, '', { to: page.end ?? '' })
    expect(ids(newer.body.chunk)).toEqual(sent.slice(5).toReversed())
    const { next_batch } = (await alice.api.get<{ next_batch: string }>('/_matrix/client/v3/sync')).body
    await reply(bob, roomId, event, 'after the sync')
    expect(ids((await children(alice, roomId, event, '', { from: next_batch, limit: 1 })).body.chunk)).toEqual([
      sent[6],
    ])
    // "Passing a `from` token from page 2 of the results, and a `to` token from page 1, would return the empty set."
    expect((await children(alice, roomId, event, '', { from: page.end ?? '', to: page.start })).body).toEqual({
      chunk: [],
      prev_batch: page.end,
    })
    expect(await children(alice, roomId, event, '', { from: 'nonsense' })).toMatchObject(badParam)
  })

  it('goes on to the children of children, three levels deep, each step being as asked for', async () => {
    const roomId = await roomOfBoth()
    const root = await send(alice, roomId, 'root')
    const first = await reply(bob, roomId, root, '1')
    const second = await reply(bob, roomId, root, '2')
    const like = (await react(alice, roomId, first, '👍')).body.event_id
    const third = await relate(alice, roomId, 'm.reference', like)
    const fourth = await relate(alice, roomId, 'm.reference', third)
    const all = await children(alice, roomId, root, '', { recurse: true })
    expect(ids(all.body.chunk)).toEqual([third, like, second, first])
    expect(all.body.recursion_depth).toBe(3)
    expect(ids(all.body.chunk)).not.toContain(fourth)
    expect(ids((await children(alice, roomId, root, '', { recurse: true, limit: 2, dir: 'f' })).body.chunk)).toEqual([
      first,
      second,
    ])
    expect(ids((await children(alice, roomId, root, '', { recurse: false })).body.chunk)).toEqual([second, first])
    // "Supplying a `rel_type` of `m.thread` is not appropriate": what relates in another way is filtered out.
    expect(ids((await children(alice, roomId, root, '/m.thread', { recurse: true })).body.chunk)).toEqual([
      second,
      first,
    ])
    expect(ids((await children(alice, roomId, like, '/m.reference', { recurse: true })).body.chunk)).toEqual([
      fourth,
      third,
    ])
    await redact(alice, roomId, like)
    expect(ids((await children(alice, roomId, root, '', { recurse: true })).body.chunk)).toEqual([second, first])
  })

  it('gives 50 events where no limit is named, and 500 at most', async () => {
    const roomId = await roomOfBoth()
    const event = await send(alice, roomId, 'event')
    await Promise.all(Array.from({ length: 505 }, (_, i) => reply(bob, roomId, event, `${i}`)))
    expect((await children(alice, roomId, event)).body.chunk).toHaveLength(50)
    const { body } = await children(alice, roomId, event, '', { limit: 1_000_000 })
    expect(body.chunk).toHaveLength(500)
    expect(ids((await children(alice, roomId, event, '', { from: body.next_batch ?? '' })).body.chunk)).toHaveLength(5)
  })

  it('pages through several levels without leaving anything out', async () => {
    const roomId = await roomOfBoth()
    const root = await send(alice, roomId, 'root')
    const sent: string[] = []
    for (let i = 0; i < 5; i += 1) {
      const inThread = await reply(bob, roomId, root, `${i}`)
      const like = (await react(alice, roomId, inThread, '👍')).body.event_id
      sent.push(inThread, like)
    }
    const seen: string[] = []
    let from: string | undefined
    do {
      const query = { recurse: true, limit: 3, ...(from !== undefined && { from }) }
      const { body } = await children(alice, roomId, root, '', query)
      seen.push(...ids(body.chunk))
      from = body.next_batch
    } while (from !== undefined)
    expect(seen).toEqual(sent.toReversed())
  })

  it('leaves out what is redacted, unseen, or of ignored users', async () => {
    const roomId = await newRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'joined' } }],
    })
    await join(carol, roomId)
    const event = await send(alice, roomId, 'event')
    await reply(alice, roomId, event, 'before')
    await join(bob, roomId)
    const parent = await send(alice, roomId, 'parent')
    await redact(alice, roomId, await reply(alice, roomId, parent, 'redacted'))
    const ofCarol = await reply(carol, roomId, parent, 'of carol')
    const seen = await reply(alice, roomId, parent, 'seen')
    expect(ids((await children(bob, roomId, parent)).body.chunk)).toEqual([seen, ofCarol])
    await ignore(bob, carol)
    expect(ids((await children(bob, roomId, parent)).body.chunk)).toEqual([seen])
    await leave(bob, roomId)
    await reply(alice, roomId, parent, 'after')
    expect(ids((await children(bob, roomId, parent)).body.chunk)).toEqual([seen])
    expect(await children(bob, roomId, event)).toMatchObject(notFound)
  })

  it('answers 404 for an event that is not there, or not to be seen', async () => {
    const roomId = await newRoom(alice)
    const event = await send(alice, roomId, 'event')
    expect(await children(bob, roomId, event)).toMatchObject(notFound)
    expect(await children(alice, roomId, '$none')).toMatchObject(notFound)
    expect(await children(alice, '!none:hearth.test', event)).toMatchObject(notFound)
    const other = await newRoom(alice)
    expect(await children(alice, other, event)).toMatchObject(notFound)
    expect(await children(alice, roomId, event, '', { dir: 'x' })).toMatchObject(badParam)
    expect(await children(alice, roomId, event, '', { recurse: 'maybe' })).toMatchObject(badParam)
  })
})

describe('client-server-api §Querying threads in a room', () => {
  it('lists thread roots by their newest event, page by page', async () => {
    const roomId = await roomOfBoth()
    const roots: string[] = []
    for (let i = 0; i < 5; i += 1) roots.push(await send(alice, roomId, `root ${i}`))
    for (const root of roots) await reply(bob, roomId, root, 'reply')
    await reply(bob, roomId, roots[1] ?? '', 'newest')
    const expected = [roots[1], roots[4], roots[3], roots[2], roots[0]]
    const whole = await threads(alice, roomId)
    expect(faultsOfReply('getThreadRoots', whole.body)).toEqual([])
    expect(ids(whole.body.chunk)).toEqual(expected)
    expect(whole.body.chunk[0]?.unsigned['m.relations']?.['m.thread']?.count).toBe(2)
    expect(whole.body.next_batch).toBeUndefined()
    const seen: string[] = []
    let from: string | undefined
    let pages = 0
    do {
      const { body } = await threads(alice, roomId, { limit: 2, ...(from !== undefined && { from }) })
      seen.push(...ids(body.chunk))
      from = body.next_batch
      pages += 1
    } while (from !== undefined)
    expect([pages, seen]).toEqual([3, expected])
    expect(await threads(alice, roomId, { from: 'nonsense' })).toMatchObject(badParam)
    expect(await threads(alice, roomId, { limit: 0 })).toMatchObject(badParam)
    expect(await threads(alice, roomId, { include: 'none' })).toMatchObject(badParam)
  })

  it('lists 20 where no limit is named, and 100 at most', async () => {
    const roomId = await roomOfBoth()
    for (let i = 0; i < 105; i += 1) await reply(bob, roomId, await send(alice, roomId, `root ${i}`), 'reply')
    expect((await threads(alice, roomId)).body.chunk).toHaveLength(20)
    const { body } = await threads(alice, roomId, { limit: 1_000_000 })
    expect([body.chunk.length, typeof body.next_batch]).toEqual([100, 'string'])
  })

  it('knows in which ones the user took part: by their root or an event in them', async () => {
    const roomId = await roomOfBoth()
    const [mine, theirs, answered] = [
      await send(bob, roomId, 'mine'),
      await send(alice, roomId, 'theirs'),
      await send(alice, roomId, 'answered'),
    ]
    for (const root of [mine, theirs, answered]) await reply(alice, roomId, root, 'reply')
    const own = await reply(bob, roomId, answered, 'own')
    expect(ids((await threads(bob, roomId)).body.chunk)).toEqual([answered, theirs, mine])
    expect(ids((await threads(bob, roomId, { include: 'participated' })).body.chunk)).toEqual([answered, mine])
    await redact(bob, roomId, own)
    expect(ids((await threads(bob, roomId, { include: 'participated' })).body.chunk)).toEqual([mine])
  })

  it('shows the root of an ignored user redacted', async () => {
    const roomId = await roomOfBoth()
    const root = await send(alice, roomId, 'unwanted')
    await edit(alice, roomId, root, 'unwanted')
    await reply(bob, roomId, root, 'wanted')
    const dave = await server.register('dave')
    await join(dave, roomId)
    await ignore(dave, alice)
    const [shown] = (await threads(dave, roomId)).body.chunk as readonly Parent[]
    expect(shown).toMatchObject({ event_id: root, sender: alice.userId, content: {} })
    expect(shown?.content).toEqual({})
    expect(shown?.unsigned['m.relations']).toMatchObject({ 'm.thread': { count: 1 } })
    expect(JSON.stringify(shown)).not.toContain('unwanted')
  })

  it('is for those who may look into the room', async () => {
    const roomId = await newRoom(alice)
    const root = await send(alice, roomId, 'root')
    await reply(alice, roomId, root, 'reply')
    const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await threads(carol, roomId)).toMatchObject(forbidden)
    expect(await threads(carol, '!none:hearth.test')).toMatchObject(forbidden)
    await setState(alice, roomId, 'm.room.history_visibility', { history_visibility: 'world_readable' })
    const open = await send(alice, roomId, 'open')
    await reply(alice, roomId, open, 'reply')
    const page = await threads(carol, roomId)
    expect(ids(page.body.chunk)).toEqual([open])
    expect((await bundleOf(carol, roomId, open))?.['m.thread']?.current_user_participated).toBe(false)
  })
})
