import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json } from '../../server/protocol/pdu.ts'
import type { RoomEvent } from '../../server/rooms/index.ts'
import { type LinkedServer, type LinkedServers, startLinkedRooms } from '../support/linked-rooms.ts'

let linked: LinkedServers
let alpha: LinkedServer
let beta: LinkedServer
let roomId: string
beforeEach(async () => {
  linked = await startLinkedRooms(['alpha.test', 'beta.test'])
  const [first, second] = linked.servers
  if (!first || !second) throw new Error('two servers')
  alpha = first
  beta = second
  roomId = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
  await beta.rooms.join({ roomId, userId: beta.test.user('bob').userId, isGuest: false, via: ['alpha.test'] })
  await beta.rooms.choresDone()
})
afterEach(() => linked[Symbol.asyncDispose]())

let txn = 0
const say = (server: LinkedServer, body: string, name = server === alpha ? 'alice' : 'bob') => {
  txn += 1
  const requester = server.test.user(name)
  const content = { msgtype: 'm.text', body }
  return server.rooms.send({ roomId, requester, txnId: `t${txn}`, type: 'm.room.message', content })
}
const setTopic = (server: LinkedServer, topic: string, name = 'alice') =>
  server.rooms.setState({
    roomId,
    requester: server.test.user(name),
    type: 'm.room.topic',
    stateKey: '',
    content: { topic },
  })

async function timeline(server: LinkedServer): Promise<readonly RoomEvent[]> {
  using view = await server.rooms.open(roomId)
  return view.timeline({ limit: 10_000, direction: 'forward' })
}
const bodies = async (server: LinkedServer) =>
  (await timeline(server)).filter(({ pdu }) => pdu.type === 'm.room.message').map(({ pdu }) => pdu.content.body)
const topicOf = async (server: LinkedServer) => {
  using view = await server.rooms.open(roomId)
  return view.state.get('m.room.topic')?.pdu.content.topic
}
const jsonOf = (event: RoomEvent | undefined) => JSON.parse(JSON.stringify(event?.pdu)) as Json

/** Sends one event as a server's queue would, and waits for all that it leads to. */
async function push(from: LinkedServer, to: LinkedServer, eventIds: readonly string[]) {
  using view = await from.rooms.open(roomId)
  const events = await Promise.all(eventIds.map((eventId) => view.find(eventId)))
  const results = await to.rooms.incoming.receivePdus(from.name, events.map(jsonOf))
  await to.rooms.choresDone()
  return results
}

describe('server-server-api §Backfilling and retrieving missing events, on receipt', () => {
  it('fetches a few missed events and takes them in, oldest first, as if they had come by themselves', async () => {
    const heard: string[] = []
    beta.rooms.onEvent(({ event }) => heard.push(event.eventId))
    const ids: string[] = []
    for (let i = 0; i < 45; i += 1) ids.push(await say(alpha, `m${i}`))
    expect(await push(alpha, beta, ids.slice(-1))).toEqual({ [ids.at(-1) ?? '']: {} })
    expect(await bodies(beta)).toEqual(ids.map((_, i) => `m${i}`))
    expect(heard).toEqual(ids)
    using view = await beta.rooms.open(roomId)
    expect(view.gapBelow(view.latestOrder)).toBe((await timeline(beta))[0]?.order)
  })

  it('after a long absence takes the state from others, leaves a gap, and builds on both ends', async () => {
    await push(alpha, beta, [await say(alpha, 'before')])
    for (let i = 0; i < 250; i += 1) await say(alpha, `missed ${i}`)
    await setTopic(alpha, 'set meanwhile')
    for (let i = 0; i < 250; i += 1) await say(alpha, `also missed ${i}`)
    const last = await say(alpha, 'last')
    await push(alpha, beta, [last])
    expect(await topicOf(beta)).toBe('set meanwhile')
    const shown = await bodies(beta)
    expect(shown[0]).toBe('before')
    expect(shown.at(-1)).toBe('last')
    expect(shown.length).toBeGreaterThan(100)
    expect(shown.length).toBeLessThan(300)
    using view = await beta.rooms.open(roomId)
    const edge = view.gapBelow(view.latestOrder)
    expect(edge).toBeGreaterThan(1_000)
    expect((await view.stateAt((edge ?? 0) - 1)).get('m.room.topic')?.pdu.content.topic).toBe('set meanwhile')
    const own = await say(beta, 'answer')
    using after = await beta.rooms.open(roomId)
    expect((await after.find(own))?.pdu.prev_events).toHaveLength(2)
    await push(beta, alpha, [own])
    expect((await bodies(alpha)).at(-1)).toBe('answer')
  })

  it('lets the ban win that it missed, over what the banned user did on this side of the partition', async () => {
    const { userId: bob } = beta.test.user('bob')
    await beta.rooms.join({ roomId, userId: beta.test.user('carol').userId, isGuest: false })
    await linked.deliver(beta, alpha, roomId)
    for (let i = 0; i < 220; i += 1) await say(alpha, `missed ${i}`)
    await alpha.rooms.ban({ roomId, by: alpha.test.user('alice').userId, target: bob })
    await say(beta, 'said in the dark')
    for (let i = 0; i < 10; i += 1) await say(alpha, `later ${i}`)
    await push(alpha, beta, [await say(alpha, 'last')])
    using view = await beta.rooms.open(roomId)
    expect(view.membershipOf(bob)).toBe('ban')
    await expect(say(beta, 'still here')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('keeps an event that nobody can complete, over a restart, and takes it in once the others are back', async () => {
    const first = await say(alpha, 'first')
    const second = await say(alpha, 'second')
    using view = await alpha.rooms.open(roomId)
    const json = jsonOf(await view.find(second))
    linked.cut(alpha, beta)
    expect(await beta.rooms.incoming.receivePdus('alpha.test', [json])).toEqual({ [second]: {} })
    await beta.rooms.choresDone()
    expect(await bodies(beta)).toEqual([])
    await beta.restart()
    await beta.rooms.choresDone()
    expect(await bodies(beta)).toEqual([])
    linked.heal(alpha, beta)
    beta.test.clock.advance(10 * 60_000)
    await beta.rooms.choresDone()
    expect((await timeline(beta)).slice(-2).map(({ eventId }) => eventId)).toEqual([first, second])
  })

  it('stops at once, also while another server lets it wait for ever, and goes on at the next start', async () => {
    await say(alpha, 'first')
    const last = await say(alpha, 'last')
    using view = await alpha.rooms.open(roomId)
    const json = jsonOf(await view.find(last))
    let isStuck = true
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    beta.intercept({
      missingEvents: (events) => {
        resolve()
        return isStuck ? new Promise<never>(() => undefined) : events
      },
    })
    expect(await beta.rooms.incoming.receivePdus('alpha.test', [json])).toEqual({ [last]: {} })
    await asked
    isStuck = false
    await beta.restart()
    await beta.rooms.choresDone()
    expect(await bodies(beta)).toEqual(['first', 'last'])
  })

  it('does what an event needs once, however often it is sent at once', async () => {
    await say(alpha, 'first')
    const last = await say(alpha, 'last')
    using view = await alpha.rooms.open(roomId)
    const json = jsonOf(await view.find(last))
    const before = beta.asked.length
    await Promise.all(Array.from({ length: 5 }, () => beta.rooms.incoming.receivePdus('alpha.test', [json])))
    await beta.rooms.choresDone()
    expect(beta.asked.slice(before)).toEqual(['missingEvents alpha.test'])
    expect(await bodies(beta)).toEqual(['first', 'last'])
  })

  it('gives up an endless chain after bounded work, and goes on with the others', async () => {
    const honest = await say(alpha, 'honest')
    beta.intercept({
      // Each answer leads to further events that nobody has.
      missingEvents: () => [],
      stateIds: () => ({ state: [], authChain: [] }),
    })
    using view = await alpha.rooms.open(roomId)
    await say(alpha, 'not sent')
    const unanchored = await say(alpha, 'unanchored')
    using after = await alpha.rooms.open(roomId)
    const bad = jsonOf(await after.find(unanchored))
    const before = beta.asked.length
    await beta.rooms.incoming.receivePdus('alpha.test', [bad, jsonOf(await view.find(honest))])
    await beta.rooms.choresDone()
    expect(await bodies(beta)).toEqual(['honest'])
    for (let i = 0; i < 15; i += 1) {
      beta.test.clock.advance(24 * 3_600_000)
      await beta.rooms.choresDone()
    }
    expect(beta.asked.length - before).toBeLessThan(80)
    expect(await bodies(beta)).toEqual(['honest'])
    // Given up: it is not tried again.
    const given = beta.asked.length
    beta.test.clock.advance(24 * 3_600_000)
    await beta.rooms.choresDone()
    expect(beta.asked.length).toBe(given)
  })

  it('stands for what lies behind a soft-failed event, so that ends do not pile up', async () => {
    const { userId: bob } = beta.test.user('bob')
    const topic = await say(alpha, 'one')
    await push(alpha, beta, [topic])
    const mine = await say(beta, 'by bob')
    await alpha.rooms.ban({ roomId, by: alpha.test.user('alice').userId, target: bob })
    await push(beta, alpha, [mine])
    using view = await alpha.rooms.open(roomId)
    expect((await view.find(mine))?.isSoftFailed).toBe(true)
    const next = await say(alpha, 'two')
    using after = await alpha.rooms.open(roomId)
    expect((await after.find(next))?.pdu.prev_events).not.toContain(mine)
  })
})

describe('server-server-api §PUT /send/{txnId}, PDUs', () => {
  it('passes over rooms that this server does not know or is not in', async () => {
    const other = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
    using view = await alpha.rooms.open(other)
    const [event] = await view.timeline({ limit: 1, direction: 'backward' })
    expect(await beta.rooms.incoming.receivePdus('alpha.test', [jsonOf(event)])).toEqual({})
    await beta.rooms.leave({ roomId, userId: beta.test.user('bob').userId })
    const said = await say(alpha, 'unheard')
    expect(await push(alpha, beta, [said])).toEqual({})
    expect(await bodies(beta)).not.toContain('unheard')
  })

  it('refuses events from a server that the room shuts out, and says so', async () => {
    await alpha.rooms.setState({
      roomId,
      requester: alpha.test.user('alice'),
      type: 'm.room.server_acl',
      stateKey: '',
      content: { allow: ['*'], deny: ['beta.test'] },
    })
    const said = await say(beta, 'let me in')
    expect(await push(beta, alpha, [said])).toEqual({ [said]: { error: expect.stringContaining('shut out') } })
    expect(await bodies(alpha)).toEqual([])
    expect(await alpha.rooms.incoming.isShutOut(roomId, 'beta.test')).toBe(true)
  })

  it('tells what became of each event by its ID', async () => {
    const good = await say(alpha, 'good')
    const bad = await say(alpha, 'bad')
    using view = await alpha.rooms.open(roomId)
    const forged = { ...(jsonOf(await view.find(bad)) as object), signatures: {} } as unknown as Json
    const results = await beta.rooms.incoming.receivePdus('alpha.test', [jsonOf(await view.find(good)), forged, 7, {}])
    expect(results).toEqual({ [good]: {}, [bad]: { error: expect.stringContaining('sign') } })
  })
})
