import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createIncomingTransactions } from '../../server/federation/index.ts'
import type { Json, JsonObject } from '../../server/protocol/pdu.ts'
import { type AskingServer, startAskingServer } from '../support/asking-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom, roomPath, send } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

let homes: Homes & { readonly 0: Home; readonly 1: Home }
let alpha: Home
let asking: AskingServer
let alice: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test'])
  alpha = homes[0]
  asking = await startAskingServer(homes, 'asking.test')
  alice = await alpha.register('alice')
})
afterAll(async () => {
  await asking[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

let txn = 0
const transaction = (changes: JsonObject = {}): Json => ({
  origin: 'asking.test',
  origin_server_ts: 1,
  pdus: [],
  ...changes,
})
function put(body: Json, txnId = `t${++txn}`) {
  return asking.ask(alpha, 'PUT', `/_matrix/federation/v1/send/${txnId}`, body)
}

describe('server-server-api §PUT /send/{txnId}', () => {
  it('refuses more than 50 PDUs or 100 EDUs, and what speaks for another server', async () => {
    const edu = { edu_type: 'm.presence', content: {} }
    const refused = { status: 400, body: { errcode: expect.stringMatching(/^M_/) } }
    expect(await put(transaction({ pdus: Array.from({ length: 51 }, () => ({})) }))).toMatchObject(refused)
    expect(await put(transaction({ edus: Array.from({ length: 101 }, () => edu) }))).toMatchObject(refused)
    expect(await put(transaction({ origin: 'other.test' }))).toMatchObject(refused)
    expect(await put({ origin: 'asking.test' })).toMatchObject(refused)
  })

  it('answers the most that is allowed, whatever nonsense is in it', async () => {
    const pdus = Array.from({ length: 50 }, (_, i) => ({ room_id: `!r${i}:x.test`, type: i, prev_events: [[[]]] }))
    const edus = Array.from({ length: 100 }, (_, i) => ({ edu_type: i % 2 ? 'm.typing' : 7, content: i % 3 ? {} : [] }))
    expect(await put(transaction({ pdus, edus } as unknown as JsonObject))).toMatchObject({
      status: 200,
      body: { pdus: {} },
    })
  })

  it('takes in events of a room, tells of each, and gives the same answer when it is sent again', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const eve = asking.user('eve')
    const joined = await asking.join(alpha, roomId, eve)
    const template = await asking.membership(alpha, { roomId, userId: eve })
    const sent = await put(transaction({ pdus: [template.pdu as unknown as JsonObject] }), 'same')
    expect(sent).toMatchObject({ status: 200, body: { pdus: { [template.eventId]: {} } } })
    expect(await put(transaction({ pdus: [template.pdu as unknown as JsonObject] }), 'same')).toEqual(
      expect.objectContaining({ status: 200, body: sent.body }),
    )
    const { body } = await alice.api.get<{ chunk: { event_id: string }[] }>(roomPath(roomId, '/messages'), { dir: 'b' })
    const ids = body.chunk.map(({ event_id }) => event_id)
    expect(ids.filter((id) => id === template.eventId)).toHaveLength(1)
    expect(ids).toContain(joined)
  })

  it('hears typing from servers in the room, but not from those that it shuts out', async () => {
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const eve = asking.user('eve')
    await asking.join(alpha, roomId, eve)
    const typing = (is: boolean) => ({
      edu_type: 'm.typing',
      content: { room_id: roomId, user_id: eve, typing: is },
    })
    const whoTypes = async () => {
      const { body } = await alice.api.get<{
        rooms: { join: Record<string, { ephemeral: { events: { type: string; content: { user_ids: string[] } }[] } }> }
      }>('/_matrix/client/v3/sync', { timeout: 0 })
      const { events = [] } = body.rooms.join[roomId]?.ephemeral ?? {}
      return events.find(({ type }) => type === 'm.typing')?.content.user_ids ?? []
    }
    await put(transaction({ edus: [typing(true)] }))
    expect(await whoTypes()).toEqual([eve])
    await put(transaction({ edus: [typing(false)] }))
    expect(await whoTypes()).toEqual([])
    await alice.api.put(roomPath(roomId, '/state/m.room.server_acl/'), { allow: ['*'], deny: ['asking.test'] })
    await put(transaction({ edus: [typing(true)] }))
    expect(await whoTypes()).toEqual([])
  })
})

describe('transactions of other servers', () => {
  const silent = () => undefined
  const environment = {
    serverName: 'here.test',
    clock: { now: () => 0, after: () => silent },
    random: { number: () => 0, bytes: (count: number) => Buffer.alloc(count) },
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  }
  const open = async () => false

  it('are taken in once, also while they are under way; after a failure they may come again', async () => {
    let calls = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const transactions = createIncomingTransactions({
      environment,
      isShutOut: open,
      receiveEdus: [],
      receivePdus: async () => {
        calls += 1
        await promise
        if (calls === 1) throw new Error('the disk is full')
        return { $a: {} }
      },
    })
    const one = { origin: 'a.test', txnId: '1', pdus: [], edus: [] }
    const both = [transactions.receive(one), transactions.receive(one)]
    resolve()
    await expect(Promise.allSettled(both)).resolves.toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
    expect(calls).toBe(1)
    expect(await transactions.receive(one)).toEqual({ $a: {} })
    expect(await transactions.receive(one)).toEqual({ $a: {} })
    expect(calls).toBe(2)
    await transactions.receive({ ...one, origin: 'b.test' })
    expect(calls).toBe(3)
  })

  it('of one server are few at once', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const receivePdus = async () => {
      await promise
      return {}
    }
    const transactions = createIncomingTransactions({ environment, isShutOut: open, receiveEdus: [], receivePdus })
    const receive = (txnId: number, origin = 'a.test') =>
      transactions.receive({ origin, txnId: String(txnId), pdus: [], edus: [] })
    const first = [1, 2, 3, 4].map((txnId) => receive(txnId))
    await expect(receive(5)).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
    const other = receive(5, 'b.test')
    resolve()
    await Promise.all([...first, other])
    await expect(receive(5)).resolves.toEqual({})
  })

  it('do not answer 200 for an EDU that could not be kept', async () => {
    const transactions = createIncomingTransactions({
      environment,
      isShutOut: open,
      receivePdus: async () => ({}),
      receiveEdus: [
        async (_, eduType) => {
          if (eduType === 'm.direct_to_device') throw new Error('the disk is full')
          return true
        },
      ],
    })
    const edu = (eduType: string) => ({ edu_type: eduType, content: {} })
    const send = (txnId: string, edus: readonly Json[]) =>
      transactions.receive({ origin: 'a.test', txnId, pdus: [], edus })
    await expect(send('1', [edu('m.direct_to_device')])).rejects.toThrow('full')
    await expect(send('2', [edu('m.typing'), 5, null, { edu_type: 'm.typing' }])).resolves.toEqual({})
  })
})

describe('homes after a time apart', () => {
  interface Synced {
    next_batch: string
    rooms?: {
      join?: Record<
        string,
        { timeline: { events: { content: { body?: string } }[]; limited?: boolean; prev_batch?: string } }
      >
    }
  }

  it('show a gap as one, and what was missed when somebody scrolls over it', async () => {
    const beta = homes[1]
    const bob = await beta.register('bob')
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const path = `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`
    expect(await bob.api.post(path, {}, { via: ['alpha.test'] })).toMatchObject({ status: 200 })
    await send(alice, roomId, 'before')
    const sync = async (since?: string) =>
      (await bob.api.get<Synced>('/_matrix/client/v3/sync', { timeout: 0, ...(since !== undefined && { since }) })).body
    const bodies = (events: readonly { content: { body?: string } }[]) =>
      events.flatMap(({ content }) => content.body ?? [])
    const roomIn = (synced: Synced) => synced.rooms?.join?.[roomId]?.timeline
    await expect.poll(async () => bodies(roomIn(await sync())?.events ?? []), { timeout: 10_000 }).toContain('before')
    const { next_batch: since } = await sync()
    homes.cut(alpha, beta)
    const missed: string[] = []
    for (let i = 0; i < 260; i += 1) {
      missed.push(`missed ${i}`)
      await send(alice, roomId, `missed ${i}`)
    }
    homes.heal(alpha, beta)
    await send(alice, roomId, 'after')
    await expect
      .poll(async () => bodies(roomIn(await sync(since))?.events ?? []).at(-1), { timeout: 20_000 })
      .toBe('after')
    const timeline = roomIn(await sync(since))
    expect(timeline?.limited).toBe(true)
    const seen: string[] = bodies(timeline?.events ?? []).reverse()
    let from = timeline?.prev_batch
    while (from !== undefined && !seen.includes('before')) {
      const query = { dir: 'b', limit: 100, from }
      const page = await bob.api.get<{ chunk: { content: { body?: string } }[]; end?: string }>(
        roomPath(roomId, '/messages'),
        query,
      )
      expect(page.status).toBe(200)
      seen.push(...bodies(page.body.chunk))
      from = page.body.end
    }
    expect(seen.slice(0, 262)).toEqual(['before', ...missed, 'after'].reverse())
  }, 60_000)
})
