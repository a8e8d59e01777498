import { describe, expect, it } from 'vitest'
import type { AccountsForReaders } from '../../server/accounts/index.ts'
import { openEphemeral } from '../../server/ephemeral/index.ts'
import type { JsonObject } from '../../server/protocol/pdu.ts'
import type { RoomsForReaders, RoomView } from '../../server/rooms/index.ts'
import { manualClock } from '../support/manual-clock.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { seededRandom } from '../support/seeded-random.ts'

const BOB = '@bob:away.test'
const CAROL = '@carol:elsewhere.test'

/** One room in which bob is, with events $1 and $2, and $t2 in a thread of $1. */
function rooms(): RoomsForReaders {
  const content = (eventId: string): JsonObject =>
    eventId === '$t2' ? { 'm.relates_to': { rel_type: 'm.thread', event_id: '$1' } } : {}
  const view = {
    find: async (eventId: string) => {
      const order = ['$1', '$2', '$t2'].indexOf(eventId) + 1
      return order === 0 ? undefined : { eventId, order, pdu: { content: content(eventId) } }
    },
    [Symbol.dispose]() {},
  }
  return {
    onEvent: () => () => {},
    joinedUsers: async (roomId: string) => new Set(roomId === '!r' ? [BOB] : []),
    open: async () => view as unknown as RoomView,
  } as unknown as RoomsForReaders
}

async function start() {
  const clock = manualClock()
  const silent = (): void => {}
  const environment = {
    serverName: 'hearth.test',
    clock,
    random: seededRandom(1),
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  }
  const ephemeral = await openEphemeral({
    environment,
    store: openMemoryStore(),
    rooms: rooms(),
    accounts: { onProfileChanged: () => () => {} } as unknown as AccountsForReaders,
  })
  const receipts = async (): Promise<readonly unknown[]> => {
    const query = { roomId: '!r', viewer: '@alice:hearth.test', since: 0, upTo: Number.MAX_SAFE_INTEGER }
    return (await ephemeral.receipts.eventsSince(query)).map((text) => (JSON.parse(text) as JsonObject).content)
  }
  return { ephemeral, clock, receipts }
}

describe('server-server-api §Typing Notifications', () => {
  it('shows users of the sending server who are in the room, until they stop or fall silent', async () => {
    const { ephemeral, clock } = await start()
    const { edus, typing } = ephemeral
    const told: unknown[] = []
    typing.onChange(({ userId, typing: is, isLocal }) => told.push([userId, is, isLocal]))
    const edu = (userId: string, is: boolean, roomId = '!r'): JsonObject => ({
      room_id: roomId,
      user_id: userId,
      typing: is,
    })
    expect(await edus.receive('away.test', 'm.typing', edu(BOB, true))).toBe(true)
    await edus.receive('elsewhere.test', 'm.typing', edu(BOB, true))
    await edus.receive('elsewhere.test', 'm.typing', edu(CAROL, true))
    await edus.receive('away.test', 'm.typing', edu(BOB, true, '!unknown'))
    await edus.receive('away.test', 'm.typing', { room_id: 5, user_id: BOB, typing: 'yes' })
    expect(typing.inRoom('!r')).toEqual([BOB])
    clock.advance(60_000)
    expect(typing.inRoom('!r')).toEqual([])
    expect(told).toEqual([
      [BOB, true, false],
      [BOB, false, false],
    ])
  })
})

describe('server-server-api §Receipts', () => {
  const edu = (userId: string, eventId: string, data: JsonObject = {}, type = 'm.read'): JsonObject => ({
    '!r': { [type]: { [userId]: { event_ids: [eventId], data: { ts: 5, ...data } } } },
  })

  it('keeps public receipts of the sending server\u2019s users, forward only', async () => {
    const { ephemeral, receipts } = await start()
    const { edus } = ephemeral
    await edus.receive('away.test', 'm.receipt', edu(BOB, '$2'))
    await edus.receive('away.test', 'm.receipt', edu(BOB, '$1'))
    await edus.receive('elsewhere.test', 'm.receipt', edu(BOB, '$t2'))
    await edus.receive('elsewhere.test', 'm.receipt', edu(CAROL, '$2'))
    await edus.receive('away.test', 'm.receipt', edu(BOB, '$2', {}, 'm.read.private'))
    expect(await receipts()).toEqual([{ $2: { 'm.read': { [BOB]: { ts: 5 } } } }])
  })

  it('keeps threaded receipts only where the thread is known', async () => {
    const { ephemeral, receipts } = await start()
    await ephemeral.edus.receive('away.test', 'm.receipt', edu(BOB, '$t2', { thread_id: '$1' }))
    await ephemeral.edus.receive('away.test', 'm.receipt', edu(BOB, '$2', { thread_id: '$anything' }))
    await ephemeral.edus.receive('away.test', 'm.receipt', edu(BOB, '$not here', { thread_id: '$1' }))
    expect(await receipts()).toEqual([{ $t2: { 'm.read': { [BOB]: { ts: 5, thread_id: '$1' } } } }])
  })

  it('keeps a receipt that came before its event', async () => {
    const { ephemeral, receipts } = await start()
    await ephemeral.edus.receive('away.test', 'm.receipt', edu(BOB, '$later'))
    expect(await receipts()).toEqual([{ $later: { 'm.read': { [BOB]: { ts: 5 } } } }])
  })

  it.each([
    {},
    { '!r': 5 },
    { '!r': { 'm.read': [] } },
    { '!r': { 'm.read': { [BOB]: { event_ids: '$1', data: { ts: 1 } } } } },
    { '!r': { 'm.read': { [BOB]: { event_ids: ['$1'], data: { ts: 'now' } } } } },
    { '!r': { 'm.read': { [BOB]: { event_ids: [], data: { ts: 1 } } } } },
  ] as readonly JsonObject[])('ignores %j', async (content) => {
    const { ephemeral, receipts } = await start()
    expect(await ephemeral.edus.receive('away.test', 'm.receipt', content)).toBe(true)
    expect(await receipts()).toEqual([])
  })
})

describe('server-server-api §Presence', () => {
  it('keeps what a server says of its users, and takes them for gone when it falls silent', async () => {
    const { ephemeral, clock } = await start()
    const { edus, presence } = ephemeral
    await edus.receive('away.test', 'm.presence', {
      push: [
        { user_id: BOB, presence: 'online', last_active_ago: 1_000, currently_active: true, status_msg: 'Hi' },
        { user_id: CAROL, presence: 'online' },
        { user_id: BOB, presence: 'asleep' },
      ],
    })
    expect(presence.contentOf(BOB)).toEqual({
      presence: 'online',
      last_active_ago: 1_000,
      currently_active: true,
      status_msg: 'Hi',
    })
    expect(presence.contentOf(CAROL)).toBeUndefined()
    clock.advance(1_810_000)
    expect(presence.contentOf(BOB)).toMatchObject({ presence: 'offline' })
    expect(await edus.receive('away.test', 'm.direct_to_device', {})).toBe(false)
  })
})
