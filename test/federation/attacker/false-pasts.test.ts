/** Lies about what was: states, auth chains and earlier events that nobody else knows of. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { IdentifiedPdu, Json } from '../../../server/protocol/pdu.ts'
import { type Attacker, type Forgery, jsonOf, type SeenRoom, stateSlotOf } from '../../support/attacker.ts'
import { messages, roomPath, send, setState } from '../../support/room-calls.ts'
import { type Arena, POLL, type Room, startArena, TEST_MS } from './arena.ts'

let arena: Arena
let attacker: Attacker
beforeAll(async () => {
  arena = await startArena()
  attacker = arena.attacker
})
afterAll(() => arena[Symbol.asyncDispose]())
afterEach(() => {
  for (const operation of ['get_missing_events', 'state_ids', 'state', 'event_auth', 'backfill']) {
    attacker.answers.delete(operation)
  }
})

/** Of each algorithm of state resolution one. */
const VERSIONS = ['1', '6', '12'] as const
const ACCOMPLICE = '@accomplice:evil.test'

const idsOf = (events: Iterable<IdentifiedPdu>): string[] => [...events].map(({ eventId }) => eventId)
const without = (room: SeenRoom, ...slots: readonly string[]): readonly IdentifiedPdu[] =>
  [...room.state].flatMap(([slot, event]) => (slots.includes(slot) ? [] : [event]))
const LEVELS = stateSlotOf('m.room.power_levels')
const RULES = stateSlotOf('m.room.join_rules')
const memberSlot = (userId: string): string => stateSlotOf('m.room.member', userId)

/**
 * Whoever came by a door that is closed by now falls out of any state that disputes their join: the algorithms do not know that
 * they have been in since. Members are left out only where the door is open still.
 */
const LEAVES_MEMBERS_OUT = /members$|all but/

/** What the attacker says that the state before its event was, from what it is and what it once was. */
const lies: readonly (readonly [string, (now: SeenRoom, once: SeenRoom) => readonly IdentifiedPdu[]])[] = [
  ['leaves out the power levels', (now) => without(now, LEVELS)],
  ['leaves out its ban', (now) => without(now, memberSlot(attacker.userId))],
  ['leaves out the join rules', (now) => without(now, RULES)],
  [
    'leaves out other homes’ members',
    (now) => without(now, memberSlot(arena.alice.userId), memberSlot(arena.bob.userId)),
  ],
  [
    'leaves out all but what its own event needs',
    (now) => without(now).filter(({ pdu }) => pdu.type === 'm.room.create' || pdu.state_key === ACCOMPLICE),
  ],
  ['has the powers that it once had', (now, once) => swapped(now, once, LEVELS)],
  ['has it joined as it once was', (now, once) => swapped(now, once, memberSlot(attacker.userId))],
  ['has the open door that there once was', (now, once) => swapped(now, once, RULES)],
  ['is the whole state of once', (_, once) => [...once.state.values()]],
  [
    'has what it was refused',
    (now) => {
      const topic = attacker.forge(now, {
        type: 'm.room.topic',
        stateKey: '',
        content: { topic: 'ours' },
        sender: ACCOMPLICE,
      })
      attacker.gives.set(topic.eventId, jsonOf(topic))
      return [...without(now, stateSlotOf('m.room.topic')), topic]
    },
  ],
  [
    'has members that never came',
    (now) => {
      const forgery: Forgery = {
        type: 'm.room.member',
        stateKey: '@ghost:alpha.test',
        sender: '@ghost:alpha.test',
        content: { membership: 'join' },
      }
      const ghost = attacker.forge(now, forgery)
      attacker.gives.set(ghost.eventId, jsonOf(ghost))
      return [...without(now), ghost]
    },
  ],
]

function swapped(now: SeenRoom, once: SeenRoom, slot: string): readonly IdentifiedPdu[] {
  const old = once.state.get(slot)
  if (!old) throw new Error('there was no such state')
  return [...without(now, slot), old]
}

/** An event with nothing that anybody knows before it. */
function afterNothing(room: SeenRoom, more: Forgery = {}): IdentifiedPdu {
  const unknown = attacker.forge(room, { sender: ACCOMPLICE, content: { body: 'nobody has this' } })
  return attacker.forge(room, { sender: ACCOMPLICE, on: [unknown], ...more })
}

/** A room in which mallory once had power and the door was open; now it is banned, and an accomplice is a mere member. */
async function fallen(version: string, isDoorClosed: boolean): Promise<{ room: Room; once: SeenRoom; now: SeenRoom }> {
  const room = await arena.room(version)
  await attacker.join(arena.alpha, room.roomId, ACCOMPLICE)
  await raise(room, 50)
  const once = await arena.look(room)
  await raise(room, 0)
  await setState(arena.alice, room.roomId, 'm.room.topic', { topic: 'honest' })
  if (isDoorClosed) await setState(arena.alice, room.roomId, 'm.room.join_rules', { join_rule: 'invite' })
  const ban = { user_id: attacker.userId }
  expect((await arena.alice.api.post(roomPath(room.roomId, '/ban'), ban)).status).toBe(200)
  await arena.agree(room)
  return { room, once, now: await arena.look(room) }
}

async function raise({ roomId }: Room, level: number): Promise<void> {
  const { body } = await arena.alice.api.get<Record<string, unknown>>(roomPath(roomId, '/state/m.room.power_levels'))
  const users = { ...(body.users as object), [attacker.userId]: level, [ACCOMPLICE]: level }
  expect((await setState(arena.alice, roomId, 'm.room.power_levels', { ...body, users })).status).toBe(200)
}

describe.each(VERSIONS)('in a room of version %s, nothing changes by a state of an attacker’s that', (version) => {
  it.each(lies)(
    '%s',
    async (what, lie) => {
      const { room, once, now } = await fallen(version, !LEAVES_MEMBERS_OUT.test(what))
      await arena.unharmed(room, async () => {
        const state = lie(now, once)
        attacker.answers.set('state_ids', () => ({ pdu_ids: idsOf(state), auth_chain_ids: idsOf(once.state.values()) }))
        attacker.answers.set('state', () => ({
          pdus: state.map(jsonOf),
          auth_chain: [...once.state.values()].map(jsonOf),
        }))
        const before = attacker.askedFor('state_ids')
        const event = afterNothing(now)
        await arena.strike([event], [], [arena.alpha])
        await expect.poll(() => attacker.askedFor('state_ids'), POLL).toBeGreaterThan(before)
        await untilTold(room, event)
        // What it may do by its own state it does on top of it.
        const grab: Forgery = {
          type: 'm.room.topic',
          stateKey: '',
          content: { topic: 'ours' },
          sender: ACCOMPLICE,
          on: [event],
        }
        await arena.strike([attacker.forge(now, grab), attacker.forge(now, { sender: ACCOMPLICE, on: [event] })])
      })
    },
    TEST_MS,
  )
})

/** Whatever alpha has made of an event, it has made it once it tells of it. */
async function untilTold(room: Room, { eventId }: IdentifiedPdu): Promise<void> {
  const path = roomPath(room.roomId, `/event/${encodeURIComponent(eventId)}`)
  let tries = 0
  await expect
    .poll(async () => {
      tries += 1
      return (await arena.alice.api.get(path)).status === 200 || tries > 40
    }, POLL)
    .toBe(true)
}

describe('an attacker that is asked for what was before', () => {
  const chainOf = (room: SeenRoom, length: number): readonly IdentifiedPdu[] => {
    const chain: IdentifiedPdu[] = [attacker.forge(room, { content: { body: 'never given' } })]
    for (let i = 1; i <= length; i += 1) {
      chain.push(
        attacker.forge(room, {
          on: [chain.at(-1) as IdentifiedPdu],
          content: { msgtype: 'm.text', body: `${i}` },
          ts: i,
        }),
      )
    }
    return chain.slice(1)
  }

  it(
    'is left alone after some rounds of an endless chain',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      const chain = chainOf(seen, 600)
      await arena.unharmed(room, async () => {
        const at = new Map(chain.map(({ eventId }, i) => [eventId, i]))
        attacker.answers.set('get_missing_events', ({ body }) => {
          const { latest_events: latest } = JSON.parse(body) as { latest_events: string[] }
          const end = Math.min(...latest.map((eventId) => at.get(eventId) ?? chain.length))
          return { events: chain.slice(Math.max(0, end - 20), end).map(jsonOf) }
        })
        const before = attacker.askedFor('get_missing_events')
        await arena.strike([chain.at(-1) as IdentifiedPdu])
        await expect.poll(() => attacker.askedFor('get_missing_events') - before, POLL).toBeGreaterThan(4)
        await arena.unharmed(room, async () => undefined)
        expect(attacker.askedFor('get_missing_events') - before).toBeLessThanOrEqual(24)
      })
    },
    TEST_MS,
  )

  it(
    'is left alone after some rounds of auth events that need others',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      await arena.unharmed(room, async () => {
        const own = seen.state.get(memberSlot(attacker.userId)) as IdentifiedPdu
        let made = 0
        const next = (): IdentifiedPdu => {
          made += 1
          const earlier = { eventId: `$${String(made).padStart(43, 'x')}`, pdu: own.pdu }
          return attacker.forge(seen, {
            type: 'm.room.member',
            stateKey: attacker.userId,
            content: { membership: 'join', displayname: `${made}` },
            auth: [
              ...without(seen)
                .filter(({ pdu }) => pdu.type !== 'm.room.member' && pdu.type !== 'm.room.topic')
                .slice(0, 3),
              earlier,
            ],
          })
        }
        const first = next()
        attacker.answers.set('event', () => ({ pdus: [jsonOf(next())] }))
        attacker.answers.set('event_auth', () => ({ auth_chain: Array.from({ length: 200 }, () => jsonOf(next())) }))
        const before = attacker.askedFor('event')
        await arena.strike([first])
        await expect.poll(() => attacker.askedFor('event_auth'), POLL).toBeGreaterThan(0)
        expect(attacker.askedFor('event') - before).toBeLessThan(40)
        attacker.answers.set('event', ({ parts }) => ({
          pdus: [attacker.gives.get(parts[0] ?? '')].filter((json) => json !== undefined),
        }))
      })
    },
    TEST_MS,
  )

  it(
    'brings nothing in by answers that have nothing to do with the question',
    async () => {
      const [room, other] = [await arena.room(), await arena.room('6')]
      const [seen, elsewhere] = [await arena.look(room), await arena.look(other)]
      const forged = attacker.forge(seen, {
        sender: arena.alice.userId,
        content: { msgtype: 'm.text', body: 'I owe mallory' },
      })
      const late = attacker.forge(seen, { content: { msgtype: 'm.text', body: 'from the future' }, depth: 1_000_000 })
      const junk: Json[] = [
        jsonOf(forged),
        jsonOf(elsewhere.last),
        ...[...elsewhere.state.values()].map(jsonOf),
        jsonOf(late),
        {},
        { type: 'm.room.message' },
        ...Array.from({ length: 300 }, (_, i) => jsonOf(attacker.forge(seen, { content: { body: `${i}` } }))),
      ]
      await arena.unharmed(room, async () => {
        attacker.answers.set('get_missing_events', () => ({ events: junk }))
        attacker.answers.set('state_ids', () => ({ pdu_ids: idsOf(elsewhere.state.values()), auth_chain_ids: [] }))
        attacker.answers.set('state', () => ({ pdus: junk, auth_chain: junk }))
        attacker.answers.set('event', () => ({ pdus: [jsonOf(forged)] }))
        attacker.answers.set('event_auth', () => ({ auth_chain: junk }))
        const before = attacker.askedFor('state_ids')
        await arena.strike([afterNothing(seen, { sender: attacker.userId })])
        await expect.poll(() => attacker.askedFor('state_ids'), POLL).toBeGreaterThan(before)
        for (const person of [arena.alice, arena.bob]) {
          const ids = await arena.seen(person, room)
          for (const { eventId } of [forged, elsewhere.last]) expect(ids).not.toContain(eventId)
        }
      })
      attacker.answers.set('event', ({ parts }) => ({
        pdus: [attacker.gives.get(parts[0] ?? '')].filter((json) => json !== undefined),
      }))
    },
    TEST_MS,
  )

  it(
    'does not tire anybody with a state of 150,000 events',
    async () => {
      const room = await arena.room()
      const seen = await arena.look(room)
      await arena.unharmed(room, async () => {
        const ids = Array.from({ length: 150_000 }, (_, i) => `$${String(i).padStart(43, 'n')}`)
        attacker.answers.set('state_ids', () => ({
          pdu_ids: [...idsOf(seen.state.values()), ...ids],
          auth_chain_ids: ids,
        }))
        const before = attacker.askedFor('state')
        await arena.strike([afterNothing(seen, { sender: attacker.userId })])
        await expect.poll(() => attacker.askedFor('state'), POLL).toBeGreaterThan(before)
      })
    },
    TEST_MS,
  )

  it.each(VERSIONS)(
    'puts no words into the mouths of others by what it gives as history (version %s)',
    async (version) => {
      const room = await arena.room(version)
      const seen = await arena.look(room)
      const forged = attacker.forge(seen, {
        sender: arena.alice.userId,
        content: { msgtype: 'm.text', body: 'I owe mallory' },
        depth: 2,
      })
      const foreign = await arena.look(await arena.room(version))
      const stateful = attacker.forge(seen, {
        type: 'm.room.topic',
        stateKey: '',
        content: { topic: 'always was' },
        depth: 2,
      })
      const later = attacker.forge(seen, { content: { msgtype: 'm.text', body: 'later' }, depth: 900 })
      await arena.unharmed(room, async () => {
        const hidden = attacker.forge(seen, { content: { body: 'hidden' } })
        attacker.answers.set('state_ids', () => ({ pdu_ids: idsOf(seen.state.values()), auth_chain_ids: [] }))
        attacker.answers.set('backfill', () => ({
          origin: attacker.name,
          origin_server_ts: 1,
          pdus: [forged, foreign.last, stateful, later].map(jsonOf),
        }))
        const event = attacker.forge(seen, { on: [hidden], content: { msgtype: 'm.text', body: 'above a gap' } })
        await arena.strike([event])
        await untilTold(room, event)
        await send(arena.bob, room.roomId, 'above it')
        for (const person of [arena.alice, arena.bob]) {
          for (let i = 0; i < 3; i += 1) {
            const { body, status } = await messages(person, room.roomId, { limit: 100 })
            expect(status).toBe(200)
            for (const { eventId } of [forged, foreign.last]) {
              expect(body.chunk.map(({ event_id }) => event_id)).not.toContain(eventId)
            }
          }
        }
      })
    },
    TEST_MS,
  )
})
