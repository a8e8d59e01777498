/** Two honest homes with an attacker among them, and what must hold after whatever it does. */
import { expect } from 'vitest'
import type { IdentifiedPdu, Json } from '../../../server/protocol/pdu.ts'
import { type Attacker, jsonOf, type SeenRoom, startAttacker } from '../../support/attacker.ts'
import { type Home, type Homes, type HomesOptions, startHomes } from '../../support/homes.ts'
import { allState, type ClientEvent, messages, newRoom, roomPath, send, setState } from '../../support/room-calls.ts'
import type { Person } from '../../support/test-server.ts'

/** A room of alice (on alpha), bob (on beta, with power 50) and, if the test wants it, mallory (the attacker). */
export interface Room {
  readonly roomId: string
  readonly version: string
}

export interface Arena extends AsyncDisposable {
  readonly homes: Homes
  readonly alpha: Home
  readonly beta: Home
  readonly alice: Person
  readonly bob: Person
  readonly attacker: Attacker
  /** @param wish of `createRoom` */
  room(version?: string, wish?: Readonly<Record<string, unknown>>, isAttackerIn?: boolean): Promise<Room>
  /** The room after its latest event, as the attacker has it from alpha. */
  look(room: Room): Promise<SeenRoom>
  /** Sends events to both homes at once, or to some. @returns what became of each by the first one's word: its error, if any */
  strike(
    events: readonly (IdentifiedPdu | Json)[],
    edus?: readonly Json[],
    homes?: readonly Home[],
  ): Promise<Readonly<Record<string, unknown>>>
  /**
   * Whatever `attack` does: the state of the room is the same on both homes as before, what alice and bob say reaches the other,
   * nobody was answered 5xx, nothing of ours failed, and it took neither long nor much memory.
   * @param isCompared which state must be the same; all without it
   */
  unharmed(room: Room, attack: () => Promise<unknown>, isCompared?: (event: ClientEvent) => boolean): Promise<void>
  /** Waits until both homes have the same state in a room. @returns it */
  agree(room: Room): Promise<readonly string[]>
  /** IDs of the events of the room that somebody sees. */
  seen(person: Person, room: Room): Promise<readonly string[]>
}

const MAX_GROWTH_BYTES = 400 * 1024 * 1024
const MAX_ATTACK_MS = 60_000
export const POLL = { timeout: 20_000, interval: 25 } as const
export const TEST_MS = 90_000

export async function startArena(options: HomesOptions = {}): Promise<Arena> {
  await using owned = new AsyncDisposableStack()
  const homes = owned.use(await startHomes(['alpha.test', 'beta.test'], options))
  const [alpha, beta] = [homes[0], homes[1]]
  const alice = await alpha.register('alice')
  const bob = await beta.register('bob')
  const attacker = owned.use(await startAttacker(homes, 'evil.test'))
  const homeOf = (person: Person): Home => (person === alice ? alpha : beta)

  async function stateIds(
    person: Person,
    { roomId }: Room,
    isCompared: (event: ClientEvent) => boolean = () => true,
  ): Promise<readonly string[]> {
    return (await allState(person, roomId))
      .filter(isCompared)
      .map(({ event_id }) => event_id)
      .sort()
  }
  async function agree(room: Room): Promise<readonly string[]> {
    const both = async () => [await stateIds(alice, room), await stateIds(bob, room)] as const
    await expect.poll(async () => isSame(...(await both())), POLL).toBe(true)
    return (await both())[0]
  }
  async function arrives(to: Person, { roomId }: Room, eventId: string): Promise<void> {
    const path = roomPath(roomId, `/event/${encodeURIComponent(eventId)}`)
    await expect.poll(async () => (await to.api.get(path)).status, POLL).toBe(200)
  }

  const kept = owned.move()
  return {
    homes,
    alpha,
    beta,
    alice,
    bob,
    attacker,
    agree,
    async room(version = '11', wish = {}, isAttackerIn = true) {
      const roomId = await newRoom(alice, { preset: 'public_chat', room_version: version, ...wish })
      const room = { roomId, version }
      const joined = await bob.api.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?via=alpha.test`, {})
      expect(joined).toMatchObject({ status: 200 })
      const levels = (await alice.api.get<Record<string, unknown>>(roomPath(roomId, '/state/m.room.power_levels'))).body
      const users = { ...(levels.users as object), [bob.userId]: 50 }
      await setState(alice, roomId, 'm.room.power_levels', { ...levels, users })
      if (isAttackerIn) await attacker.join(alpha, roomId, attacker.userId)
      await agree(room)
      return room
    },
    async look({ roomId, version }) {
      const { body } = await messages(alice, roomId, { limit: 1 })
      const [last] = body.chunk
      if (!last) throw new Error('the room is empty')
      return attacker.look(alpha, roomId, version, last.event_id)
    },
    async strike(events, edus = [], targets = [alpha, beta]) {
      const pdus = events.map((event) => (isIdentified(event) ? jsonOf(event) : event))
      const [first] = await Promise.all(targets.map((home) => attacker.transaction(home, pdus, edus)))
      const results = (first?.body.pdus ?? {}) as Record<string, { error?: string }>
      return Object.fromEntries(Object.entries(results).map(([eventId, { error }]) => [eventId, error]))
    },
    async unharmed(room, attack, isCompared = () => true) {
      await agree(room)
      const before = await stateIds(alice, room, isCompared)
      const grownFrom = process.memoryUsage().rss
      const begun = performance.now()
      await attack()
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        await arrives(to, room, await send(from, room.roomId, 'honest'))
      }
      const took = performance.now() - begun
      for (const person of [alice, bob])
        expect(await stateIds(person, room, isCompared), homeOf(person).serverName).toEqual(before)
      expect(attacker.serverErrors).toEqual([])
      for (const home of [alpha, beta]) expect(home.faults).toEqual([])
      expect(process.memoryUsage().rss - grownFrom).toBeLessThan(MAX_GROWTH_BYTES)
      expect(took).toBeLessThan(MAX_ATTACK_MS)
    },
    async seen(person, { roomId }) {
      const { body } = await messages(person, roomId, { limit: 200 })
      return body.chunk.map(({ event_id }) => event_id)
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

const isSame = (some: readonly string[], others: readonly string[]): boolean => some.join() === others.join()

function isIdentified(event: IdentifiedPdu | Json): event is IdentifiedPdu {
  return typeof event === 'object' && event !== null && 'eventId' in event && 'pdu' in event
}
