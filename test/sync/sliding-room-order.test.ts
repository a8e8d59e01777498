import { describe, expect, it } from 'vitest'
import type { MembershipEntry, RoomsForReaders } from '../../server/rooms/index.ts'
import { RoomChanges } from '../../server/sync/room-changes.ts'
import { filterRooms } from '../../server/sync/sliding-filter.ts'
import type { FilterFactsCache } from '../../server/sync/sliding-filter-facts.ts'
import { type OrderedRoom, RoomOrders } from '../../server/sync/sliding-room-order.ts'
import { seeded } from '../support/seeded.ts'

const ALICE = '@alice:hearth.test'

function membership(roomId: string, position: number, more: Partial<MembershipEntry> = {}): MembershipEntry {
  return {
    roomId,
    userId: ALICE,
    membership: 'join',
    eventId: `$${roomId}`,
    sender: ALICE,
    position,
    previous: null,
    isForgotten: false,
    ...more,
  }
}

/** Rooms 0 to `count`, of which `happen` makes one the newest. */
function house(count: number) {
  const changes = new RoomChanges(0)
  const lastChange = new Map<string, number>()
  const entries: MembershipEntry[] = []
  let position = 0
  for (let i = 0; i < count; i += 1) {
    position += 1
    entries.push(membership(`!${i}`, position))
  }
  let memberships = new Map(entries.map((entry) => [entry.roomId, entry]))
  const rooms = {
    memberships: async () => memberships,
    lastChange: (roomId: string) => lastChange.get(roomId) ?? 0,
  } as unknown as RoomsForReaders
  return {
    orders: new RoomOrders(rooms, changes),
    rooms,
    now: () => position,
    happen(roomId: string): void {
      position += 1
      lastChange.set(roomId, position)
      changes.add(position, roomId)
    },
    become(entry: Partial<MembershipEntry> & { roomId: string }): void {
      position += 1
      memberships = new Map(memberships).set(entry.roomId, membership(entry.roomId, position, entry))
      changes.add(position, entry.roomId)
    },
    activity: (roomId: string) => Math.max(memberships.get(roomId)?.position ?? 0, lastChange.get(roomId) ?? 0),
    ids: () => [...memberships.keys()],
  }
}

const ids = (rooms: readonly OrderedRoom[]): readonly string[] => rooms.map(({ roomId }) => roomId)

describe('MSC4186 §Activity ordering', () => {
  it('is the order of the last events, however it came about', async () => {
    const random = seeded(7)
    const { orders, happen, now, activity, ids: all } = house(40)
    for (let step = 0; step < 200; step += 1) {
      for (let i = random.between(0, 6); i > 0; i -= 1) happen(random.pick(all()))
      const { rooms } = await orders.of(ALICE, now())
      expect(ids(rooms)).toEqual(all().toSorted((a, b) => activity(b) - activity(a)))
    }
  })

  it('is the same while nothing happens, and makes a new entry only for a room in which something did', async () => {
    const { orders, happen, now } = house(5)
    const before = await orders.of(ALICE, now())
    expect((await orders.of(ALICE, now())).rooms).toBe(before.rooms)
    happen('!nowhere')
    expect((await orders.of(ALICE, now())).rooms).toBe(before.rooms)
    happen('!1')
    const { rooms } = await orders.of(ALICE, now())
    expect(ids(rooms)).toEqual(['!1', '!4', '!3', '!2', '!0'])
    expect(rooms.filter((room) => !before.rooms.includes(room)).map(({ roomId }) => roomId)).toEqual(['!1'])
  })

  it('has the rooms that others put one out of, and not those that one left or turned down', async () => {
    const { orders, become, now } = house(1)
    become({ roomId: '!left', membership: 'leave', previous: 'join' })
    become({ roomId: '!kicked', membership: 'leave', previous: 'join', sender: '@bob:hearth.test' })
    become({ roomId: '!takenBack', membership: 'leave', previous: 'invite', sender: '@bob:hearth.test' })
    become({ roomId: '!banned', membership: 'ban', previous: 'join', sender: '@bob:hearth.test' })
    become({ roomId: '!neverIn', membership: 'ban', sender: '@bob:hearth.test' })
    expect(ids((await orders.of(ALICE, now())).rooms)).toEqual(['!banned', '!kicked', '!0'])
  })
})

describe('MSC4186 §SlidingRoomFilter', () => {
  it('looks into a room again only after something happened there', async () => {
    const { orders, happen, now } = house(100)
    const asked: string[] = []
    const facts = {
      of({ roomId }: MembershipEntry) {
        asked.push(roomId)
        return { type: roomId === '!7' ? 'm.space' : null, isEncrypted: false, name: '' }
      },
    } as unknown as FilterFactsCache
    const account = { directs: new Set<string>(), tags: new Map(), version: 0 }
    const list = async () => {
      const { rooms, memberships } = await orders.of(ALICE, now())
      const filters = { not_room_types: ['m.space'] }
      return filterRooms(facts, rooms, { filters, filterKey: 'no spaces', account, memberships })
    }
    expect(ids(await list())).not.toContain('!7')
    expect(asked).toHaveLength(100)
    happen('!3')
    expect((await list())[0]?.roomId).toBe('!3')
    expect(asked.slice(100)).toEqual(['!3'])
  })
})
