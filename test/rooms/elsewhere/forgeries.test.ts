import { describe, expect, it } from 'vitest'
import type { JoinAnswer, Template } from '../../../server/federation/index.ts'
import { finishEvent } from '../../../server/protocol/event-signing.ts'
import type { Json, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../../server/protocol/room-versions.ts'
import { type LinkedServer, startLinkedRooms, strangersKey } from '../../support/linked-rooms.ts'

const VERSION = '11'
const rules = getRoomVersion(VERSION)

/** A public room of alpha's Alice, and beta, whose Bob wants to come in. */
async function startWorld(version = VERSION) {
  const linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: version })
  const [alpha, beta] = linked.servers as readonly [LinkedServer, LinkedServer]
  const alice = alpha.test.user('alice')
  const bob = beta.test.user('bob').userId
  const roomId = await alpha.rooms.createRoom({ creator: alice.userId, preset: 'public_chat', name: 'Kitchen' })
  const join = (): Promise<void> => beta.rooms.join({ roomId, userId: bob, isGuest: false, via: ['alpha.test'] })
  return { linked, alpha, beta, alice, bob, roomId, join }
}
type World = Awaited<ReturnType<typeof startWorld>>

async function expectNothingKept({ beta, roomId, bob }: World): Promise<void> {
  await expect(beta.rooms.open(roomId)).rejects.toMatchObject({ status: 404 })
  expect(await beta.rooms.findMembership(bob, roomId)).toBeUndefined()
  expect(beta.rooms.changedSince(0)).toEqual([])
  await beta.restart()
  await expect(beta.rooms.open(roomId)).rejects.toMatchObject({ status: 404 })
}

const withEvent = (template: Template, changes: JsonObject): Template => ({
  ...template,
  event: { ...template.event, ...changes },
})
const withContent = (template: Template, changes: JsonObject): Template =>
  withEvent(template, { content: { ...(template.event.content as JsonObject), ...changes } })

const badTemplates: readonly (readonly [string, (template: Template, world: World) => Template])[] = [
  ['of another type', (t) => withEvent(t, { type: 'm.room.power_levels' })],
  ['of another room', (t) => withEvent(t, { room_id: '!other:alpha.test' })],
  ['without a room', ({ event: { room_id: _, ...event }, ...t }) => ({ ...t, event })],
  ['sent by another of our users', (t) => withEvent(t, { sender: '@carol:beta.test' })],
  ['about another user', (t) => withEvent(t, { state_key: '@carol:beta.test' })],
  ['that is no state', ({ event: { state_key: _, ...event }, ...t }) => ({ ...t, event })],
  ['that bans', (t) => withContent(t, { membership: 'ban' })],
  ['without content', (t) => withEvent(t, { content: null })],
  ['without previous events', (t) => withEvent(t, { prev_events: [] })],
  ['with too many previous events', (t) => withEvent(t, { prev_events: ids(21) })],
  ['with too many auth events', (t) => withEvent(t, { auth_events: ids(11) })],
  ['that names an event twice', (t) => withEvent(t, { auth_events: [ids(1)[0] as string, ids(1)[0] as string] })],
  ['with references that are none', (t) => withEvent(t, { prev_events: [{ event_id: '$a' }] })],
  ['with references of another version', (t) => withEvent(t, { prev_events: [['$a:alpha.test', { sha256: 'x' }]] })],
  ['with a depth that is none', (t) => withEvent(t, { depth: 'deep' })],
  ['with a depth below 1', (t) => withEvent(t, { depth: -5 })],
  ['with a depth that is no integer', (t) => withEvent(t, { depth: 1.5 })],
  [
    'for which a user of a third server vouches',
    (t) => withContent(t, { join_authorised_via_users_server: '@x:gamma.test' }),
  ],
  ['for which nobody vouches by name', (t) => withContent(t, { join_authorised_via_users_server: 7 })],
  ["of a version that the room's ID does not fit", (t) => ({ ...t, roomVersion: '12' })],
]

function ids(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `$${String(i).padStart(43, 'A')}`)
}

const stateOf = (answer: JoinAnswer): readonly (JsonObject & Pdu)[] => answer.state as never
const typeIs = (type: string) => (event: Json) => (event as JsonObject).type === type
const without = (list: readonly Json[], type: string): readonly Json[] => list.filter((event) => !typeIs(type)(event))

/** An event of alpha's, changed and signed anew by whoever has the key. */
function remade(pdu: Pdu, changes: Partial<Pdu>, serverName: string, key = strangersKey(99)): Json {
  const { hashes: _, signatures: __, ...draft } = { ...pdu, ...changes }
  return finishEvent({ draft, rules, serverName, key }).pdu as unknown as Json
}

const badAnswers: readonly (readonly [string, (answer: JoinAnswer, world: World) => JoinAnswer])[] = [
  [
    'without a create event',
    (a) => ({ ...a, state: without(a.state, 'm.room.create'), authChain: without(a.authChain, 'm.room.create') }),
  ],
  [
    'with two events for one piece of state',
    (a, { alpha }) => {
      const name = stateOf(a).find(typeIs('m.room.name') as never) as Pdu
      return { ...a, state: [...a.state, remade(name, { content: { name: 'Cellar' } }, 'alpha.test', alpha.key)] }
    },
  ],
  [
    'with a message for state',
    (a, { alpha }) => {
      const { state_key: _, ...name } = stateOf(a).find(typeIs('m.room.name') as never) as Pdu
      return { ...a, state: [...a.state, remade({ ...name, type: 'm.room.message' }, {}, 'alpha.test', alpha.key)] }
    },
  ],
  [
    'with a create event that nobody signed',
    (a) => ({
      ...a,
      state: a.state.map((event) =>
        typeIs('m.room.create')(event) ? { ...(event as JsonObject), signatures: {} } : event,
      ),
    }),
  ],
  [
    'with the create event of another room version',
    (a, { alpha }) => {
      const create = stateOf(a).find(typeIs('m.room.create') as never) as Pdu
      const other = remade(create, { content: { ...create.content, room_version: '9' } }, 'alpha.test', alpha.key)
      return { ...a, state: [other, ...without(a.state, 'm.room.create')] }
    },
  ],
  [
    'with a create event that the rest knows nothing of',
    (a, { alpha }) => {
      const create = stateOf(a).find(typeIs('m.room.create') as never) as Pdu
      const other = remade(create, { origin_server_ts: create.origin_server_ts + 1 }, 'alpha.test', alpha.key)
      return { ...a, state: [other, ...without(a.state, 'm.room.create')] }
    },
  ],
  [
    'without the events that allow the join',
    (a) => ({
      ...a,
      state: without(a.state, 'm.room.join_rules'),
      authChain: without(a.authChain, 'm.room.join_rules'),
    }),
  ],
  [
    'by whose state one may not join',
    (a, { alpha }) => {
      const joinRules = stateOf(a).find(typeIs('m.room.join_rules') as never) as Pdu
      const closed = remade(joinRules, { content: { join_rule: 'invite' } }, 'alpha.test', alpha.key)
      return {
        ...a,
        state: [...without(a.state, 'm.room.join_rules'), closed],
        authChain: [...a.authChain, joinRules as never],
      }
    },
  ],
  [
    'of another room',
    (a) => ({
      ...a,
      state: a.state.map((event) => ({ ...(event as JsonObject), room_id: '!other:alpha.test' })),
    }),
  ],
  ['that is empty', (a) => ({ ...a, state: [], authChain: [] })],
  ['that holds no events at all', (a) => ({ ...a, state: [1, 'two', null, [], {}], authChain: [null] })],
  ['with another event in the place of the join', (a) => ({ ...a, event: a.state[0] })],
]

describe('server-server-api §Joining Rooms, "the joining server MUST also verify"', () => {
  it.each(badTemplates)('signs nothing for a template %s', async (_, forge) => {
    const world = await startWorld()
    await using _linked = world.linked
    world.beta.intercept({ makeMembership: (template) => forge(template, world) })
    await expect(world.join()).rejects.toMatchObject({ status: 502, errcode: 'M_UNKNOWN' })
    expect(world.beta.asked.filter((call) => call.startsWith('sendJoin'))).toEqual([])
    await expectNothingKept(world)
  })

  it.each(badAnswers)('keeps nothing of an answer %s', async (_, forge) => {
    const world = await startWorld()
    await using _linked = world.linked
    world.beta.intercept({ sendJoin: (answer) => forge(answer, world) })
    await expect(world.join()).rejects.toMatchObject({ status: 502, errcode: 'M_UNKNOWN' })
    await expectNothingKept(world)
  })

  it('takes only what it asked for from a template that says more', async () => {
    const world = await startWorld()
    await using _linked = world.linked
    const sent: Pdu[] = []
    world.beta.intercept({
      makeMembership: (template) =>
        withEvent(withContent(template, { displayname: 'Not Bob', is_direct: true, 'org.evil': { a: 1 } }), {
          origin: 'evil.test',
          redacts: '$something',
          unsigned: { age: 1 },
          origin_server_ts: 5,
          hashes: { sha256: 'x' },
          signatures: { 'beta.test': { 'ed25519:test': 'x' } },
        }),
      sendJoin: (answer, _server, { pdu }) => {
        sent.push(pdu)
        return answer
      },
    })
    await world.join()
    const [pdu] = sent
    expect(pdu?.content).toEqual({ membership: 'join' })
    expect(Object.keys(pdu ?? {}).sort()).toEqual([
      'auth_events',
      'content',
      'depth',
      'hashes',
      'origin_server_ts',
      'prev_events',
      'room_id',
      'sender',
      'signatures',
      'state_key',
      'type',
    ])
    expect(pdu?.origin_server_ts).toBe(world.beta.test.clock.now())
    expect(Object.keys(pdu?.signatures ?? {})).toEqual(['beta.test'])
  })

  it('leaves state out that nobody signed, and keeps the rest', async () => {
    const world = await startWorld()
    await using _linked = world.linked
    const forged = (events: readonly Json[]): readonly Json[] => [
      ...without(events, 'm.room.name'),
      ...events
        .filter(typeIs('m.room.name'))
        .map((event) => remade(event as never, { content: { name: 'Forged' } }, 'alpha.test')),
    ]
    world.beta.intercept({
      sendJoin: (answer) => ({ ...answer, state: forged(answer.state) }),
      state: (answer) => ({ ...answer, state: forged(answer.state) }),
    })
    await world.join()
    using view = await world.beta.rooms.open(world.roomId)
    expect(view.state.get('m.room.name')).toBeUndefined()
    expect(view.state.get('m.room.join_rules')?.pdu.content).toEqual({ join_rule: 'public' })
  })

  it("does not take a create event that is not the one in a version 12 room's ID", async () => {
    const world = await startWorld('12')
    await using _linked = world.linked
    const v12 = getRoomVersion('12')
    world.beta.intercept({
      sendJoin: (answer) => {
        const create = stateOf(answer).find(typeIs('m.room.create') as never) as Pdu
        const { hashes: _, signatures: __, ...draft } = { ...create, origin_server_ts: create.origin_server_ts + 1 }
        const other = finishEvent({ draft, rules: v12, serverName: 'alpha.test', key: world.alpha.key }).pdu
        return { ...answer, state: [other as unknown as Json, ...without(answer.state, 'm.room.create')] }
      },
    })
    await expect(world.join()).rejects.toMatchObject({ status: 502 })
    await expectNothingKept(world)
  })

  it('goes on to the next server after a forged answer', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test', 'gamma.test'], {
      defaultRoomVersion: VERSION,
    })
    const [alpha, beta, gamma] = linked.servers as readonly [LinkedServer, LinkedServer, LinkedServer]
    const roomId = await alpha.rooms.createRoom({ creator: alpha.test.user('alice').userId, preset: 'public_chat' })
    const carol = gamma.test.user('carol').userId
    await gamma.rooms.join({ roomId, userId: carol, isGuest: false, via: ['alpha.test'] })
    beta.intercept({
      sendJoin: (answer, server) => (server === 'gamma.test' ? { ...answer, state: [] } : answer),
    })
    const bob = beta.test.user('bob').userId
    await beta.rooms.join({ roomId, userId: bob, isGuest: false, via: ['gamma.test', 'alpha.test'] })
    using view = await beta.rooms.open(roomId)
    expect(view.joined().has(bob)).toBe(true)
    expect(view.state.get('m.room.create')?.pdu.sender).toBe('@alice:alpha.test')
  })
})
