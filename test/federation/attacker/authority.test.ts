/** Well-signed events that claim more than their sender may do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { IdentifiedPdu } from '../../../server/protocol/pdu.ts'
import { type Attacker, type Forgery, type SeenRoom, stateSlotOf } from '../../support/attacker.ts'
import { roomPath, send, setState } from '../../support/room-calls.ts'
import { type Arena, POLL, type Room, startArena, TEST_MS } from './arena.ts'

let arena: Arena
let attacker: Attacker
beforeAll(async () => {
  arena = await startArena()
  attacker = arena.attacker
})
afterAll(() => arena[Symbol.asyncDispose]())

/** Of each algorithm of state resolution one. */
const VERSIONS = ['1', '6', '12'] as const

const levels = (room: SeenRoom, users: Readonly<Record<string, number>>): Forgery => {
  const now = room.state.get(stateSlotOf('m.room.power_levels'))?.pdu.content ?? {}
  return {
    type: 'm.room.power_levels',
    stateKey: '',
    content: { ...now, users: { ...(now.users as object), ...users } },
  }
}
const member = (userId: string, membership: string, more: Forgery = {}): Forgery => ({
  type: 'm.room.member',
  stateKey: userId,
  content: { membership },
  ...more,
})
const pieceOf = (room: SeenRoom, type: string, stateKey = ''): IdentifiedPdu => {
  const event = room.state.get(stateSlotOf(type, stateKey))
  if (!event) throw new Error(`the room has no ${type} ${stateKey}`)
  return event
}

/** What mallory, an ordinary member, may not do. */
const grabs: readonly (readonly [string, (room: SeenRoom) => readonly Forgery[]])[] = [
  ['giving itself power', (room) => [levels(room, { [attacker.userId]: 100 })]],
  ['giving itself no more than others have', (room) => [levels(room, { [attacker.userId]: 50 })]],
  ['taking the power of others', (room) => [levels(room, { [arena.bob.userId]: 0 })]],
  ['banning others', () => [member(arena.alice.userId, 'ban'), member(arena.bob.userId, 'ban')]],
  ['kicking others', () => [member(arena.bob.userId, 'leave')]],
  ['joining somebody of another home', () => [member('@victim:alpha.test', 'join')]],
  ['joining somebody of its own who is another than the sender', () => [member('@accomplice:evil.test', 'join')]],
  ['state that takes power', () => [{ type: 'm.room.topic', stateKey: '', content: { topic: 'ours' } }]],
  [
    'shutting others out by an ACL',
    () => [{ type: 'm.room.server_acl', stateKey: '', content: { allow: ['evil.test'] } }],
  ],
  ['closing the room', () => [{ type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'invite' } }]],
  [
    'putting another room in its place',
    () => [{ type: 'm.room.tombstone', stateKey: '', content: { replacement_room: '!x:evil.test' } }],
  ],
  ['state under another user’s name', () => [{ type: 'org.example.note', stateKey: arena.alice.userId, content: {} }]],
  ['a second create event', () => [{ type: 'm.room.create', stateKey: '', content: { creator: attacker.userId } }]],
  [
    'a second create event without anything before it',
    () => [{ type: 'm.room.create', stateKey: '', content: { creator: attacker.userId }, on: [], auth: [] }],
  ],
]

describe.each(VERSIONS)('an attacker who is a member of a room of version %s changes nothing by', (version) => {
  it.each(grabs)(
    '%s',
    async (_, forge) => {
      const room = await arena.room(version)
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const events = forge(seen).map((forgery) => attacker.forge(seen, forgery))
        await arena.strike(events)
        // What comes after them is to stand on them, as far as the attacker is asked.
        await arena.strike(events.map((event) => attacker.forge(seen, { on: [event] })))
      })
    },
    TEST_MS,
  )

  it(
    'events from before its ban, sent after it',
    async () => {
      const room = await arena.room(version)
      const before = await arena.look(room)
      const ban = { user_id: attacker.userId }
      expect((await arena.alice.api.post(roomPath(room.roomId, '/ban'), ban)).status).toBe(200)
      await arena.agree(room)
      await arena.unharmed(room, async () => {
        const message = attacker.forge(before, { content: { msgtype: 'm.text', body: 'from before' } })
        const rejoin = attacker.forge(before, member(attacker.userId, 'join'))
        await arena.strike([message, rejoin])
        // As if others had built on them.
        await arena.strike([attacker.forge(before, { on: [rejoin, message] })])
        for (const person of [arena.alice, arena.bob]) {
          expect(await arena.seen(person, room)).not.toContain(message.eventId)
        }
      })
      await isBanned(room)
    },
    TEST_MS,
  )

  it(
    'forks from before the levels that bind it',
    async () => {
      const room = await arena.room(version, {}, false)
      await raise(room, attacker.userId, 50)
      await attacker.join(arena.alpha, room.roomId, attacker.userId)
      const powerful = await arena.look(room)
      await raise(room, attacker.userId, 0)
      await arena.agree(room)
      await arena.unharmed(room, async () => {
        const fork = attacker.forge(powerful, { content: { msgtype: 'm.text', body: 'once upon a time' } })
        await arena.strike([fork])
        for (const depth of [1, fork.pdu.depth + 1, 1_000_000]) {
          const grab = attacker.forge(powerful, {
            ...levels(powerful, { '@accomplice:evil.test': 50 }),
            on: [fork],
            depth,
          })
          await arena.strike([grab, attacker.forge(powerful, { on: [grab], ts: depth })])
        }
      })
    },
    TEST_MS,
  )

  it(
    'auth events that were chosen for the occasion',
    async () => {
      const room = await arena.room(version)
      const other = await arena.room(version)
      await arena.unharmed(room, async () => {
        const [seen, elsewhere] = [await arena.look(room), await arena.look(other)]
        const topic: Forgery = { type: 'm.room.topic', stateKey: '', content: { topic: 'ours' } }
        const create = version === '12' ? [] : [pieceOf(seen, 'm.room.create')]
        const own = pieceOf(seen, 'm.room.member', attacker.userId)
        const rejected = attacker.forge(seen, levels(seen, { [attacker.userId]: 100 }))
        await arena.strike([rejected])
        await arena.strike([
          // Without the power levels, nobody would need any.
          attacker.forge(seen, { ...topic, auth: [...create, own] }),
          attacker.forge(seen, { ...topic, auth: [] }),
          attacker.forge(seen, { ...topic, auth: [...elsewhere.state.values()].slice(0, 5) }),
          attacker.forge(seen, { ...topic, auth: [...create, own, own] }),
          attacker.forge(seen, { ...topic, auth: [...create, own, rejected] }),
          attacker.forge(seen, { ...topic, auth: [...create, own, pieceOf(seen, 'm.room.power_levels'), rejected] }),
          attacker.forge(seen, { content: { body: 'unauthorized' }, auth: [...create, own, rejected] }),
        ])
      })
    },
    TEST_MS,
  )

  it(
    'redactions of what others have said',
    async () => {
      const room = await arena.room(version)
      const said = await send(arena.alice, room.roomId, 'mine')
      await arena.unharmed(room, async () => {
        const seen = await arena.look(room)
        const topLevel = !seen.rules.redactionV11
        const redaction = (target: string): Forgery => ({
          type: 'm.room.redaction',
          content: topLevel ? {} : { redacts: target },
          more: topLevel ? { redacts: target } : {},
        })
        const targets = [said, pieceOf(seen, 'm.room.power_levels').eventId, pieceOf(seen, 'm.room.create').eventId]
        await arena.strike(targets.map((target) => attacker.forge(seen, redaction(target))))
        for (const person of [arena.alice, arena.bob]) {
          const path = roomPath(room.roomId, `/event/${encodeURIComponent(said)}`)
          expect((await person.api.get(path)).body).toMatchObject({ content: { body: 'mine' } })
        }
      })
    },
    TEST_MS,
  )
})

it(
  'an attacker who is a member is heard like any member, as long as it says what it may',
  async () => {
    const room = await arena.room()
    const event = attacker.forge(await arena.look(room), {})
    expect(await arena.strike([event])).toEqual({ [event.eventId]: undefined })
    for (const person of [arena.alice, arena.bob]) expect(await arena.seen(person, room)).toContain(event.eventId)
  },
  TEST_MS,
)

describe('an attacker who is no member', () => {
  it.each(VERSIONS)(
    'gets nothing in, and nothing out (version %s)',
    async (version) => {
      const room = await arena.room(version)
      const seen = await arena.look(room)
      expect((await arena.alice.api.post(roomPath(room.roomId, '/kick'), { user_id: attacker.userId })).status).toBe(
        200,
      )
      await setState(arena.alice, room.roomId, 'm.room.join_rules', { join_rule: 'invite' })
      await arena.agree(room)
      const secret = await send(arena.alice, room.roomId, 'behind closed doors')
      await arena.unharmed(room, async () => {
        const events = [
          attacker.forge(seen, {}),
          attacker.forge(seen, member(attacker.userId, 'join')),
          attacker.forge(seen, { ...member('@other:evil.test', 'join'), sender: '@other:evil.test' }),
        ]
        await arena.strike(events)
        for (const home of [arena.alpha, arena.beta]) {
          const id = encodeURIComponent(room.roomId)
          for (const path of [
            `/event/${encodeURIComponent(secret)}`,
            `/state/${id}?event_id=${encodeURIComponent(secret)}`,
            `/state_ids/${id}?event_id=${encodeURIComponent(secret)}`,
            `/backfill/${id}?limit=10&v=${encodeURIComponent(secret)}`,
            `/event_auth/${id}/${encodeURIComponent(secret)}`,
          ]) {
            const { status, body } = await attacker.get(home, `/_matrix/federation/v1${path}`)
            expect([403, 404], `${path} ${status}`).toContain(status)
            expect(JSON.stringify(body)).not.toContain('closed doors')
          }
        }
        for (const person of [arena.alice, arena.bob]) {
          const seenNow = await arena.seen(person, room)
          for (const { eventId } of events) expect(seenNow).not.toContain(eventId)
        }
      })
    },
    TEST_MS,
  )

  it.each(['6', '12'])(
    'that the room’s ACL shuts out is heard by neither home, events and EDUs alike (version %s)',
    async (version) => {
      const room = await arena.room(version)
      const seen = await arena.look(room)
      const acl = { allow: ['*'], deny: ['evil.test'] }
      expect((await setState(arena.alice, room.roomId, 'm.room.server_acl', acl)).status).toBe(200)
      await arena.agree(room)
      await arena.unharmed(room, async () => {
        const event = attacker.forge(seen, {})
        const typing = {
          edu_type: 'm.typing',
          content: { room_id: room.roomId, user_id: attacker.userId, typing: true },
        }
        const receipt = {
          [room.roomId]: { 'm.read': { [attacker.userId]: { event_ids: [seen.last.eventId], data: { ts: 1 } } } },
        }
        await arena.strike([event], [typing, { edu_type: 'm.receipt', content: receipt }])
        for (const home of [arena.alpha, arena.beta]) {
          const path = `/_matrix/federation/v1/make_join/${encodeURIComponent(room.roomId)}/${encodeURIComponent('@x:evil.test')}?ver=${version}`
          expect((await attacker.get(home, path)).status).toBe(403)
        }
        for (const person of [arena.alice, arena.bob]) {
          expect(await arena.seen(person, room)).not.toContain(event.eventId)
          const { body } = await person.api.get('/_matrix/client/v3/sync', { timeout: 0 })
          expect(
            JSON.stringify(
              (body as { rooms: { join: Record<string, { ephemeral: unknown }> } }).rooms.join[room.roomId]?.ephemeral,
            ),
          ).not.toContain(attacker.userId)
        }
      })
    },
    TEST_MS,
  )
})

async function raise({ roomId }: Room, userId: string, level: number): Promise<void> {
  const path = roomPath(roomId, '/state/m.room.power_levels')
  const { body } = await arena.alice.api.get<Record<string, unknown>>(path)
  const users = { ...(body.users as object), [userId]: level }
  expect((await setState(arena.alice, roomId, 'm.room.power_levels', { ...body, users })).status).toBe(200)
}

async function isBanned({ roomId }: Room): Promise<void> {
  for (const person of [arena.alice, arena.bob]) {
    const path = roomPath(roomId, `/state/m.room.member/${encodeURIComponent(attacker.userId)}`)
    await expect.poll(async () => (await person.api.get(path)).body, POLL).toMatchObject({ membership: 'ban' })
  }
}
