/** Events that are not what they say: signatures, hashes, IDs, forms. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { finishEvent } from '../../../server/protocol/event-signing.ts'
import type { IdentifiedPdu, Json, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { makeSigningKey } from '../../../server/protocol/signing-key.ts'
import { type Attacker, jsonOf, type SeenRoom } from '../../support/attacker.ts'
import { type Arena, startArena, TEST_MS } from './arena.ts'

let arena: Arena
let attacker: Attacker
beforeAll(async () => {
  arena = await startArena()
  attacker = arena.attacker
})
afterAll(() => arena[Symbol.asyncDispose]())

const otherKey = makeSigningKey(Buffer.alloc(32, 77), 'other')
const topic = (by: string, more: object = {}) => ({
  type: 'm.room.topic',
  stateKey: '',
  content: { topic: by },
  ...more,
})
/** The event with other signatures, its ID left as it is: IDs do not depend on signatures. */
const resigned = (event: IdentifiedPdu, signatures: Json): Json => ({
  ...(event.pdu as unknown as JsonObject),
  signatures,
})

type Forge = (room: SeenRoom) => IdentifiedPdu | Json

const unsigned: readonly (readonly [string, Forge])[] = [
  ['without any signature', (room) => resigned(attacker.forge(room, {}), {})],
  ['with signatures that are no object', (room) => resigned(attacker.forge(room, {}), [] as unknown as Json)],
  [
    'with the signature of another event',
    (room) =>
      resigned(attacker.forge(room, {}), attacker.forge(room, { content: { body: 'x' } }).pdu.signatures as Json),
  ],
  [
    'signed with a key that its server has not published',
    (room) => attacker.forge(room, { signedAs: { name: attacker.name, key: otherKey } }),
  ],
  [
    "in the name of another home's user, signed by the attacker",
    (room) => attacker.forge(room, { ...topic('by alice?'), sender: arena.alice.userId }),
  ],
  [
    "in the name of another home's user, with a signature made up for that home",
    (room) =>
      attacker.forge(room, {
        ...topic('by alice?'),
        sender: arena.alice.userId,
        signedAs: { name: 'alpha.test', key: attacker.foreign.key },
      }),
  ],
  [
    'in the name of a user of a server that nobody can find',
    (room) =>
      attacker.forge(room, { sender: '@ghost:nowhere.test', signedAs: { name: 'nowhere.test', key: otherKey } }),
  ],
]

const malformed: readonly (readonly [string, Forge])[] = [
  ['of more than 64 KiB', (room) => attacker.forge(room, { content: { body: 'x'.repeat(66_000) } })],
  ['with a depth below zero', (room) => attacker.forge(room, { depth: -1 })],
  ['with a depth that is a text', (room) => attacker.forge(room, { more: { depth: '7' } })],
  ['with a depth that no number can hold', (room) => attacker.forge(room, { more: { depth: [9] as unknown as Json } })],
  [
    'with 1,000 previous events',
    (room) =>
      attacker.forge(room, {
        more: { prev_events: Array.from({ length: 1_000 }, (_, i) => `$${i}${'p'.repeat(40)}`) },
      }),
  ],
  [
    'with 1,000 auth events',
    (room) =>
      attacker.forge(room, {
        more: { auth_events: Array.from({ length: 1_000 }, (_, i) => `$${i}${'a'.repeat(40)}`) },
      }),
  ],
  ['with previous events that are no list', (room) => attacker.forge(room, { more: { prev_events: { length: 1 } } })],
  ['without previous events', (room) => attacker.forge(room, { on: [] })],
  ['with a type of 300 bytes', (room) => attacker.forge(room, { type: 't'.repeat(300) })],
  ['with a state key of 300 bytes', (room) => attacker.forge(room, { type: 'x', stateKey: 's'.repeat(300) })],
  ['whose sender is no user', (room) => attacker.forge(room, { sender: 'evil.test' })],
  ['of a room that does not exist', (room) => attacker.forge(room, { more: { room_id: '!none:evil.test' } })],
  ['nested 90 levels deep', (room) => attacker.forge(room, { ...topic('deep'), content: { topic: nested(90) } })],
]

/** An object in an object, and so on. */
function nested(levels: number): Json {
  let value: Json = 'bottom'
  for (let i = 0; i < levels; i += 1) value = { in: value }
  return value
}

describe('an attacker’s forged events leave the rooms of others as they were', () => {
  it.each(unsigned)(
    '%s',
    async (_, forge) => {
      const room = await arena.room()
      let events: readonly (IdentifiedPdu | Json)[] = []
      await arena.unharmed(room, async () => {
        events = [forge(await arena.look(room))]
        const results = await arena.strike(events)
        for (const error of Object.values(results)) expect(error).toEqual(expect.any(String))
      })
      expect(await seesAny(room, events)).toBe(false)
    },
    TEST_MS,
  )

  it.each(malformed)(
    '%s',
    async (_, forge) => {
      const room = await arena.room()
      await arena.unharmed(room, async () => {
        const event = forge(await arena.look(room))
        await arena.strike([event])
        expect(await seesAny(room, [event])).toBe(false)
      })
    },
    TEST_MS,
  )

  async function seesAny(
    room: Awaited<ReturnType<Arena['room']>>,
    events: readonly (IdentifiedPdu | Json)[],
  ): Promise<boolean> {
    const ids = events.flatMap((event) => ('eventId' in (event as object) ? [(event as IdentifiedPdu).eventId] : []))
    const seen = [...(await arena.seen(arena.alice, room)), ...(await arena.seen(arena.bob, room))]
    return ids.some((eventId) => seen.includes(eventId))
  }

  it(
    'an event whose content was exchanged after the signing is taken without its content',
    async () => {
      const room = await arena.room()
      await arena.unharmed(room, async () => {
        const honest = attacker.forge(await arena.look(room), { content: { msgtype: 'm.text', body: 'signed' } })
        await arena.strike([
          { ...(honest.pdu as unknown as JsonObject), content: { msgtype: 'm.text', body: 'exchanged' } },
        ])
        const { body } = await arena.alice.api.get(
          `/_matrix/client/v3/rooms/${encodeURIComponent(room.roomId)}/event/${encodeURIComponent(honest.eventId)}`,
        )
        expect(body).toMatchObject({ event_id: honest.eventId, content: {} })
        expect(JSON.stringify(body)).not.toContain('exchanged')
      })
    },
    TEST_MS,
  )

  it.each(['1', '2'])(
    'one event ID for two events is one event, the first one (version %s)',
    async (version) => {
      const room = await arena.room(version)
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const eventId = `$twice:${attacker.name}`
        const [first, second] = ['first', 'second'].map((body) =>
          attacker.forge(seen, { eventId, content: { msgtype: 'm.text', body } }),
        )
        await arena.strike([first as IdentifiedPdu])
        await arena.strike([second as IdentifiedPdu])
        for (const person of [arena.alice, arena.bob]) {
          const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.roomId)}/event/${encodeURIComponent(eventId)}`
          expect((await person.api.get(path)).body).toMatchObject({ content: { body: 'first' } })
        }
      })
    },
    TEST_MS,
  )

  it.each(['1', '2'])(
    'event IDs of other homes are not the attacker’s to give (version %s)',
    async (version) => {
      const room = await arena.room(version)
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const stolen = attacker.forge(seen, { eventId: '$stolen:alpha.test' })
        const create = [...seen.state.values()].find(({ pdu }) => pdu.type === 'm.room.create')
        const replaced = attacker.forge(seen, {
          eventId: create?.eventId ?? '',
          ...topic('instead of the create event'),
        })
        await arena.strike([stolen, replaced])
        expect(await arena.seen(arena.alice, room)).not.toContain(stolen.eventId)
      })
    },
    TEST_MS,
  )

  it.each(['1', '2'])(
    'events that build on themselves, and on each other in a circle, come to nothing (version %s)',
    async (version) => {
      const room = await arena.room(version)
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const ids = ['$a', '$b', '$c'].map((id) => `${id}:${attacker.name}`)
        const circle = ids.map((eventId, i) => {
          const previous = { eventId: ids[(i + 1) % 3] ?? '', pdu: seen.last.pdu }
          return attacker.forge(seen, { eventId, on: [previous], ...topic('in circles', { auth: undefined }) })
        })
        const self = attacker.forge(seen, {
          eventId: '$self:evil.test',
          on: [{ eventId: '$self:evil.test', pdu: seen.last.pdu }],
        })
        for (const event of circle) attacker.gives.set(event.eventId, jsonOf(event))
        attacker.answers.set('get_missing_events', () => ({ events: circle.map(jsonOf) }))
        attacker.answers.set('state_ids', () => ({ pdu_ids: ids, auth_chain_ids: ids }))
        await arena.strike([...circle, self])
        await expect.poll(() => attacker.askedFor('state_ids')).toBeGreaterThan(0)
        attacker.answers.delete('get_missing_events')
        attacker.answers.delete('state_ids')
        expect(await arena.seen(arena.alice, room)).not.toContain(self.eventId)
      })
    },
    TEST_MS,
  )

  it.each(['4', '5', '11'])(
    'an event dated after its key’s end is only taken where the room version allows it (version %s)',
    async (version) => {
      const room = await arena.room(version)
      const late = await startLate(room)
      await arena.unharmed(room, () => arena.strike([late]))
      expect((await arena.seen(arena.alice, room)).includes(late.eventId)).toBe(version === '4')
    },
    TEST_MS,
  )

  /** Dated ten years from now: nobody's key is published for so long. */
  async function startLate(room: Awaited<ReturnType<Arena['room']>>): Promise<IdentifiedPdu> {
    return attacker.forge(await arena.look(room), { ts: Date.now() + 10 * 365 * 86_400_000 })
  }

  it(
    'a server that changes its key with every request is known by what it has published last, and costs nobody anything',
    async () => {
      const room = await arena.room()
      const { foreign } = attacker
      const first = foreign.key
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        for (let i = 0; i < 20; i += 1) {
          foreign.key = makeSigningKey(Buffer.alloc(32, 100 + i), `k${i}`)
          await arena.strike([attacker.forge(seen, { content: { msgtype: 'm.text', body: `key ${i}` } })])
        }
      })
      foreign.key = first
      expect(foreign.asked.filter(({ url }) => url.startsWith('/_matrix/key/')).length).toBeLessThan(60)
    },
    TEST_MS,
  )

  it(
    'a signed event of another room is not taken for one of this room',
    async () => {
      const [room, other] = [await arena.room(), await arena.room()]
      await arena.unharmed(room, async () => {
        const { rules } = await arena.look(room)
        const there = attacker.forge(await arena.look(other), {})
        const { hashes: _, signatures: __, ...draft } = { ...there.pdu, room_id: room.roomId } as Pdu
        const moved = finishEvent({ draft, rules, serverName: attacker.name, key: attacker.foreign.key })
        await arena.strike([{ ...(there.pdu as unknown as JsonObject), room_id: room.roomId }, moved])
        expect(await arena.seen(arena.alice, room)).not.toContain(there.eventId)
      })
    },
    TEST_MS,
  )
})
