import { describe, expect, it } from 'vitest'
import type { SlidingSyncBody } from '../../../shared/api/client/sync-msc4186.ts'
import { type Seeded, seeded } from '../../support/seeded.ts'
import { type Person, startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'
import { type SlidingBody, type SlidingRoom, slide } from '../../sync/sliding-rig.ts'

interface KnownRoom {
  timeline: string[]
  state: Map<string, string>
  accountData: Map<string, unknown>
  typing: readonly string[]
  fields: Record<string, unknown>
}

/** A client that believes what it is told, and loses answers. */
class Believer {
  readonly who: Person
  readonly #random: Seeded
  readonly rooms = new Map<string, KnownRoom>()
  #pos: string | undefined

  constructor(who: Person, random: Seeded) {
    this.who = who
    this.#random = random
  }

  /** A request with another window and other limits each time, whose answer may be lost. */
  async step(subscribable: readonly string[]): Promise<void> {
    const { between, chance, pick } = this.#random
    const body = await this.#ask({
      last: between(0, 5),
      limit: pick([1, 2, 10]),
      subscribed: chance(0.3) ? pick(subscribable) : undefined,
    })
    if (!chance(0.3)) this.#believe(body)
  }

  /** All that there is, until there is no more. */
  async finish(): Promise<void> {
    for (;;) {
      const body = await this.#ask({ last: 99, limit: 10, subscribed: undefined })
      this.#believe(body)
      if (Object.keys(body.rooms).length === 0 && Object.keys(body.extensions).length === 0) return
    }
  }

  #ask(wish: { last: number; limit: number; subscribed: string | undefined }): Promise<SlidingBody> {
    const config = { timeline_limit: wish.limit, required_state: [['*', '*']] as [string, string][] }
    const body: SlidingSyncBody = {
      lists: { all: { ...config, ranges: [[0, wish.last]] } },
      ...(wish.subscribed !== undefined && { room_subscriptions: { [wish.subscribed]: config } }),
      extensions: { account_data: { enabled: true }, typing: { enabled: true } },
    }
    return slide(this.who, body, this.#pos === undefined ? {} : { pos: this.#pos })
  }

  #believe(body: SlidingBody): void {
    this.#pos = body.pos
    for (const [roomId, room] of Object.entries(body.rooms)) this.#believeRoom(roomId, room)
    for (const [roomId, events] of Object.entries(body.extensions.account_data?.rooms ?? {})) {
      for (const { type, content } of events) this.rooms.get(roomId)?.accountData.set(type, content)
    }
    for (const [roomId, { content }] of Object.entries(body.extensions.typing?.rooms ?? {})) {
      const room = this.rooms.get(roomId)
      if (room) room.typing = content.user_ids as string[]
    }
  }

  #believeRoom(roomId: string, room: SlidingRoom): void {
    const { initial, timeline = [], required_state: state = [], ...fields } = room
    let known = this.rooms.get(roomId)
    if (!known) {
      known = { timeline: [], state: new Map(), accountData: new Map(), typing: [], fields: {} }
      this.rooms.set(roomId, known)
      expect(initial, 'a room that is new to the client').toBe(true)
    }
    if (initial) {
      known.state.clear()
      known.fields = {}
    }
    if (initial || room.limited || room.unstable_expanded_timeline) known.timeline = []
    known.timeline.push(...rig.ids(timeline))
    for (const event of state) known.state.set(`${event.type}|${event.state_key}`, event.event_id)
    Object.assign(known.fields, fields)
  }
}

/** Something that happens in a room, by whoever may do it. */
async function something(random: Seeded, people: readonly Person[], roomIds: readonly string[]): Promise<void> {
  const [alice, , carol] = people as [Person, Person, Person]
  const roomId = random.pick(roomIds)
  const carolIsIn = (
    await carol.api.get<{ joined_rooms: string[] }>('/_matrix/client/v3/joined_rooms')
  ).body.joined_rooms.includes(roomId)
  const n = random.between(0, 1_000)
  const acts: (() => Promise<unknown>)[] = [
    () => rig.say(random.pick(people.slice(0, 2)), roomId, `${n}`),
    () => rig.say(alice, roomId, `${n}`),
    () => rig.setState(alice, roomId, 'm.room.topic', { topic: `${n}` }),
    () => rig.setState(alice, roomId, 'm.room.name', n % 3 === 0 ? {} : { name: `Room ${n}` }),
    () => rig.setAccountData(random.pick(people), 'org.example.note', { n }, roomId),
    () => rig.type(alice, roomId, n % 2 === 0),
    () => (carolIsIn ? rig.leave(carol, roomId) : rig.join(carol, roomId)),
    () => (carolIsIn ? rig.kick(alice, roomId, carol) : rig.invite(alice, roomId, carol).catch(() => undefined)),
  ]
  await random.pick(acts)()
}

describe('MSC4186: whatever windows a client asks for and whatever answers get lost', () => {
  it.each([1, 2, 3])('it knows in the end what there is (seed %i)', async (seed) => {
    await using server = await startTestServer()
    const random = seeded(seed)
    const people = await Promise.all(['alice', 'bob', 'carol'].map((name) => server.register(name)))
    const [alice, bob, carol] = people as [Person, Person, Person]
    const roomIds: string[] = []
    for (let i = 0; i < 5; i += 1) {
      const roomId = await rig.createRoom(alice)
      await rig.join(bob, roomId)
      roomIds.push(roomId)
    }
    const believers = [new Believer(bob, random), new Believer(carol, random)]
    for (let i = 0; i < 80; i += 1) {
      await something(random, people, roomIds)
      if (random.chance(0.7)) await random.pick(believers).step(roomIds)
    }
    for (const roomId of roomIds) await rig.type(alice, roomId, false)

    for (const believer of believers) {
      await believer.finish()
      const filter = rig.filterText({ room: { timeline: { limit: 10 } } })
      const truth = await rig.sync(believer.who, { filter, use_state_after: true })
      for (const [roomId, room] of Object.entries(truth.rooms?.join ?? {})) {
        const known = believer.rooms.get(roomId) as KnownRoom
        expect(known.fields.membership).toBe('join')
        expect(rig.ids(room.timeline.events)).toEqual(known.timeline.slice(-room.timeline.events.length))
        expect(Object.fromEntries(known.state)).toEqual(
          Object.fromEntries(room.state_after?.events.map((e) => [`${e.type}|${e.state_key}`, e.event_id]) ?? []),
        )
        expect(known.accountData.get('org.example.note')).toEqual(room.account_data.events[0]?.content)
        expect(known.typing).toEqual([])
        expect(known.fields).toMatchObject(room.unread_notifications)
        expect(known.fields.joined_count).toBe(room.summary?.['m.joined_member_count'])
        const name = room.state_after?.events.find(({ type }) => type === 'm.room.name')?.content.name
        expect(known.fields.name ?? undefined).toBe(name)
      }
      for (const [roomId, known] of believer.rooms) {
        const isThere = truth.rooms?.join?.[roomId] !== undefined || truth.rooms?.invite?.[roomId] !== undefined
        expect(['join', 'invite'].includes(known.fields.membership as string)).toBe(isThere)
      }
    }
    expect(server.complaints).toEqual([])
  })
})
