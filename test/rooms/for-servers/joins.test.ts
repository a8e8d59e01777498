import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventIdOf } from '../../../server/protocol/event-id.ts'
import { checkEventSignatures } from '../../../server/protocol/event-signing.ts'
import { signedText } from '../../../server/protocol/hashes.ts'
import type { Json, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../../server/protocol/room-versions.ts'
import { signText } from '../../../server/protocol/signing.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { ALL_VERSIONS, finishTemplate, GuestServer, signsInvites } from '../../support/guest-server.ts'
import { peersOf, remoteKey } from '../../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../../support/test-rooms.ts'

const remote = { name: 'remote.test', key: remoteKey(3) }
const other = { name: 'other.test', key: remoteKey(4) }
let t: TestRooms
let guest: GuestServer
beforeEach(async () => {
  t = await startTestRooms({ peers: { ...peersOf([remote, other]), sendInvite: signsInvites(remote) } })
  guest = new GuestServer(t.rooms, remote)
})
afterEach(() => t[Symbol.asyncDispose]())

const refusal = (errcode: string, status: number) => expect.objectContaining({ errcode, status })
const alice = '@alice:hearth.test'

type Preset = 'public_chat' | 'private_chat'
const makeRoom = (wish: { preset?: Preset; version?: string; more?: object } = {}): Promise<string> =>
  t.rooms.createRoom({
    creator: alice,
    preset: wish.preset ?? 'public_chat',
    ...(wish.version && { room_version: wish.version }),
    ...wish.more,
  })

const setState = (roomId: string, type: string, content: JsonObject, stateKey = '') =>
  t.rooms.setState({ roomId, requester: t.user('alice'), type, stateKey, content })

async function memberOf(roomId: string, userId: string): Promise<unknown> {
  using view = await t.rooms.open(roomId)
  return view.membershipOf(userId)
}

async function newest(roomId: string): Promise<string> {
  using view = await t.rooms.open(roomId)
  const [event] = await view.timeline({ limit: 1, direction: 'backward' })
  return event?.eventId ?? ''
}

const idsOf = (version: string, pdus: readonly JsonObject[]): ReadonlySet<string> =>
  new Set(pdus.map((pdu) => eventIdOf(pdu as unknown as Pdu, getRoomVersion(version))))

describe('server-server-api §Joining Rooms', () => {
  it.each(ALL_VERSIONS)(
    'lets a user of another server in, and tells that server the room (version %s)',
    async (version) => {
      const roomId = await makeRoom({ version })
      await setState(roomId, 'm.room.topic', { topic: 'before' })
      const eve = guest.user('eve')
      const template = await guest.template(roomId, eve)
      expect(template.roomVersion).toBe(version)
      expect(template.event).toMatchObject({
        type: 'm.room.member',
        room_id: roomId,
        sender: eve,
        state_key: eve,
        origin: 'hearth.test',
        content: { membership: 'join' },
      })
      const answer = await guest.join(roomId, eve)
      expect(await memberOf(roomId, eve)).toBe('join')
      const types = answer.state.map(({ type }) => type)
      expect(types).toContain('m.room.create')
      expect(types).toContain('m.room.topic')
      // The state is that before the join.
      expect(answer.state.filter(({ state_key: key }) => key === eve)).toEqual([])
      expect(idsOf(version, [answer.event])).toEqual(new Set([answer.eventId]))
      // Whatever the state and the join cite is there.
      const known = idsOf(version, [...answer.state, ...answer.auth_chain])
      for (const pdu of [...answer.state, ...answer.auth_chain, answer.event]) {
        for (const cited of pdu.auth_events as readonly Json[]) {
          expect(known).toContain(typeof cited === 'string' ? cited : (cited as readonly Json[])[0])
        }
      }
      expect(await t.rooms.serversIn(roomId)).toEqual(new Set(['remote.test']))
    },
  )

  it('passes the join on to the other servers in the room, but not back', async () => {
    const roomId = await makeRoom()
    const announced: unknown[] = []
    t.rooms.onEvent(({ event }) => announced.push([event.eventId, event.isRelayed]))
    const { eventId } = await guest.join(roomId, guest.user('eve'))
    expect(announced).toContainEqual([eventId, true])
  })

  it('answers the same join again in the same way, and takes it in once', async () => {
    const roomId = await makeRoom()
    const event = await guest.event(roomId, guest.user('eve'))
    const first = await guest.sendJoin(roomId, event)
    const last = await newest(roomId)
    await setState(roomId, 'm.room.topic', { topic: 'later' })
    const again = await guest.sendJoin(roomId, event)
    expect(again.state).toEqual(first.state)
    expect(last).toBe(event.eventId)
  })

  it.each(['1', '11'])('does not answer an old join again to who has left (version %s)', async (version) => {
    const roomId = await makeRoom({ version })
    const eve = guest.user('eve')
    const event = await guest.event(roomId, eve)
    await guest.sendJoin(roomId, event)
    await guest.leave(roomId, eve)
    await setState(roomId, 'm.room.join_rules', { join_rule: 'invite' })
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
  })

  it('takes no join under the ID of another event (version 1)', async () => {
    const roomId = await makeRoom({ version: '1' })
    const { eventId } = await guest.event(roomId, guest.user('eve'))
    const first = await guest.event(roomId, guest.user('eve'), 'join', { event_id: eventId })
    await guest.sendJoin(roomId, first)
    const second = await guest.event(roomId, guest.user('eva'), 'join', { event_id: eventId })
    await expect(guest.sendJoin(roomId, second)).rejects.toEqual(refusal('M_INVALID_PARAM', 400))
    expect(await memberOf(roomId, guest.user('eva'))).toBeUndefined()
  })

  it('says no to a template for a user of a third server, a room that is not here, and one that we have left', async () => {
    const roomId = await makeRoom()
    await expect(guest.template(roomId, '@eve:other.test')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await expect(guest.template('!none:hearth.test', guest.user('eve'))).rejects.toEqual(refusal('M_NOT_FOUND', 404))
    await guest.join(roomId, guest.user('eve'))
    await t.rooms.leave({ roomId, userId: alice })
    await expect(guest.template(roomId, guest.user('eva'))).rejects.toEqual(refusal('M_NOT_FOUND', 404))
  })

  it('names the version of a room to a server that does not know it', async () => {
    const roomId = await makeRoom({ version: '10' })
    const asked = guest.template(roomId, guest.user('eve'), 'join', ['1', '9'])
    await expect(asked).rejects.toMatchObject({ errcode: 'M_INCOMPATIBLE_ROOM_VERSION', extra: { room_version: '10' } })
  })

  it('keeps out who is not invited or is banned, and whose server is shut out', async () => {
    const closed = await makeRoom({ preset: 'private_chat' })
    await expect(guest.template(closed, guest.user('eve'))).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    const roomId = await makeRoom()
    await setState(roomId, 'm.room.member', { membership: 'ban' }, guest.user('eve'))
    await expect(guest.template(roomId, guest.user('eve'))).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    const event = await guest.event(roomId, guest.user('eva'))
    await setState(roomId, 'm.room.server_acl', { allow: ['*'], deny: ['remote.test'] })
    await expect(guest.template(roomId, guest.user('eva'))).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    expect(await memberOf(roomId, guest.user('eva'))).toBeUndefined()
  })

  it('does not let a room that is not federated be joined', async () => {
    const roomId = await makeRoom({ more: { creation_content: { 'm.federate': false } } })
    await expect(guest.template(roomId, guest.user('eve'))).rejects.toEqual(refusal('M_FORBIDDEN', 403))
  })

  it('refuses a join that another state, from before a ban, would allow', async () => {
    const roomId = await makeRoom()
    const event = await guest.event(roomId, guest.user('eve'))
    await setState(roomId, 'm.room.member', { membership: 'ban' }, guest.user('eve'))
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    expect(await memberOf(roomId, guest.user('eve'))).toBe('ban')
    // Nothing of it is kept.
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    using view = await t.rooms.open(roomId)
    expect(await view.find(event.eventId)).toBeUndefined()
  })

  const forgeries: readonly (readonly [string, JsonObject])[] = [
    ['of another type', { type: 'm.room.topic' }],
    ['that is a leave', { content: { membership: 'leave' } }],
    ['for somebody else', { state_key: '@eva:remote.test' }],
    ['of another server’s user', { sender: '@eve:other.test', state_key: '@eve:other.test' }],
    ['of our own user', { sender: '@bob:hearth.test', state_key: '@bob:hearth.test' }],
    ['of another room', { room_id: '!another:hearth.test' }],
    ['built on an unknown event', { prev_events: ['$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'] }],
    ['authorized by an unknown event', { auth_events: ['$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'] }],
    ['without a depth', { depth: -1 }],
    [
      'with too many previous events',
      { prev_events: Array.from({ length: 21 }, (_, i) => `$${'A'.repeat(41)}${i + 10}`) },
    ],
  ]
  it.each(forgeries)('refuses a join %s with M_INVALID_PARAM', async (_what, changes) => {
    const roomId = await makeRoom({ version: '11' })
    const event = await guest.event(roomId, guest.user('eve'), 'join', changes)
    const before = await newest(roomId)
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_INVALID_PARAM', 400))
    expect(await newest(roomId)).toBe(before)
  })

  it('refuses a join under another ID, without a signature, with a wrong one, and with a wrong hash', async () => {
    const roomId = await makeRoom()
    const { eventId, pdu } = await guest.event(roomId, guest.user('eve'))
    const another = await guest.event(roomId, guest.user('eva'))
    const wrongHash = finishTemplate(remote, await guest.template(roomId, guest.user('eve')))
    const wrong: readonly { eventId: string; pdu: unknown }[] = [
      { eventId: another.eventId, pdu },
      { eventId, pdu: { ...pdu, signatures: {} } },
      { eventId, pdu: { ...pdu, signatures: { 'remote.test': another.pdu.signatures['remote.test'] } } },
      {
        eventId: wrongHash.eventId,
        pdu: { ...wrongHash.pdu, content: { membership: 'join', displayname: 'changed' } },
      },
      { eventId, pdu: {} },
      { eventId, pdu: { ...pdu, content: null } },
    ]
    for (const event of wrong) {
      await expect(guest.sendJoin(roomId, event as never)).rejects.toEqual(refusal('M_INVALID_PARAM', 400))
    }
    expect(await memberOf(roomId, guest.user('eve'))).toBeUndefined()
  })

  it('omits members where the joining server wants that, but for those whom the room is named after', async () => {
    const roomId = await makeRoom({ version: '11' })
    for (const name of ['bob', 'carol']) await t.rooms.join({ roomId, userId: `@${name}:hearth.test`, isGuest: false })
    const answer = await guest.join(roomId, guest.user('eve'), true)
    expect(answer.members_omitted).toBe(true)
    expect(answer.servers_in_room).toEqual(['hearth.test'])
    const members = (state: readonly JsonObject[]) =>
      state.filter(({ type }) => type === 'm.room.member').map(({ state_key: key }) => key)
    expect(members(answer.state)).toEqual([alice, '@bob:hearth.test', '@carol:hearth.test'])
    const inState = idsOf('11', answer.state)
    for (const eventId of idsOf('11', answer.auth_chain)) expect(inState).not.toContain(eventId)

    await setState(roomId, 'm.room.name', { name: 'A name' })
    const named = await guest.join(roomId, guest.user('eva'), true)
    expect(members(named.state)).toEqual([])
    expect(named.servers_in_room?.toSorted()).toEqual(['hearth.test', 'remote.test'])
    // What authorizes the join is there all the same.
    const known = idsOf('11', [...named.state, ...named.auth_chain])
    for (const cited of [...named.state, ...named.auth_chain, named.event].flatMap(({ auth_events: ids }) => ids)) {
      expect(known).toContain(cited)
    }
  })
})

describe('server-server-api §Restricted rooms', () => {
  async function restricted(allow: readonly string[], version = '10'): Promise<string> {
    const rule = { type: 'm.room_membership' }
    return makeRoom({
      version,
      preset: 'private_chat',
      more: {
        initial_state: [
          {
            type: 'm.room.join_rules',
            state_key: '',
            content: { join_rule: 'restricted', allow: allow.map((room_id) => ({ ...rule, room_id })) },
          },
        ],
      },
    })
  }

  it.each(['8', '9', '10', '11', '12'])(
    'signs for a user who is in a room of the condition (version %s)',
    async (version) => {
      const lobby = await makeRoom()
      const roomId = await restricted([lobby], version)
      const eve = guest.user('eve')
      await guest.join(lobby, eve)
      const template = await guest.template(roomId, eve)
      expect(template.event.content).toEqual({ membership: 'join', join_authorised_via_users_server: alice })
      const { event } = await guest.join(roomId, eve)
      const rules = getRoomVersion(version)
      const signed = checkEventSignatures({
        pdu: event as unknown as Pdu,
        rules,
        keyOf: (server) => ({
          publicKey: server === 'hearth.test' ? t.signingKey.publicKey : remote.key.publicKey,
          validUntilTs: Number.MAX_SAFE_INTEGER,
        }),
      })
      expect(signed).toEqual({ ok: true })
      expect(Object.keys(event.signatures as object).sort()).toEqual(['hearth.test', 'remote.test'])
      expect(await memberOf(roomId, eve)).toBe('join')
    },
  )

  it('refuses who is in no such room, and says where it cannot tell', async () => {
    const lobby = await makeRoom()
    const eve = guest.user('eve')
    await expect(guest.template(await restricted([lobby]), eve)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await expect(guest.template(await restricted([]), eve)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    const elsewhere = await restricted([lobby, '!elsewhere:other.test'])
    await expect(guest.template(elsewhere, eve)).rejects.toEqual(refusal('M_UNABLE_TO_AUTHORISE_JOIN', 400))
  })

  it('says so where none of our users may invite', async () => {
    const lobby = await makeRoom()
    const roomId = await restricted([lobby])
    const eve = guest.user('eve')
    await guest.join(lobby, eve)
    using view = await t.rooms.open(roomId)
    const levels = view.state.get('m.room.power_levels')?.pdu.content ?? {}
    await setState(roomId, 'm.room.power_levels', { ...levels, invite: 101, users: { [alice]: 100 } }).catch(
      () => undefined,
    )
    await setState(roomId, 'm.room.power_levels', { ...levels, invite: 100, users: { [alice]: 100, [eve]: 100 } })
    await setState(roomId, 'm.room.power_levels', { ...levels, invite: 100, users: { [alice]: 50, [eve]: 100 } })
    await expect(guest.template(roomId, eve)).rejects.toEqual(refusal('M_UNABLE_TO_GRANT_JOIN', 400))
  })

  it('does not sign a join that names one of our users but meets no condition', async () => {
    const lobby = await makeRoom()
    const roomId = await restricted([lobby])
    const eve = guest.user('eve')
    await guest.join(lobby, eve)
    const event = await guest.event(roomId, eve)
    await guest.leave(lobby, eve)
    await expect(guest.sendJoin(roomId, event)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    expect(await memberOf(roomId, eve)).toBeUndefined()
  })

  it('lets who is invited in without anybody’s word', async () => {
    const roomId = await restricted([])
    const eve = guest.user('eve')
    await setState(roomId, 'm.room.member', { membership: 'invite' }, eve)
    expect((await guest.template(roomId, eve)).event.content).toEqual({ membership: 'join' })
    await guest.join(roomId, eve)
    expect(await memberOf(roomId, eve)).toBe('join')
  })
})

describe('server-server-api §Policy Servers', () => {
  const policyKey = remoteKey(9)

  it('a join through us is signed by the policy server of the room, or refused', async () => {
    await t[Symbol.asyncDispose]()
    let isWelcome = true
    t = await startTestRooms({
      peers: peersOf([remote, other]),
      policyServers: {
        async sign(_server, pdu) {
          if (!isWelcome) throw new MatrixError('M_FORBIDDEN', 403, 'not this one')
          const signature = signText(signedText(pdu, getRoomVersion('11')), policyKey)
          return { 'other.test': { 'ed25519:policy_server': signature } }
        },
      },
    })
    guest = new GuestServer(t.rooms, remote)
    const roomId = await makeRoom({ version: '11' })
    await new GuestServer(t.rooms, other).join(roomId, '@policy:other.test')
    await setState(roomId, 'm.room.policy', { via: 'other.test', public_keys: { ed25519: policyKey.publicKey } })
    const { event } = await guest.join(roomId, guest.user('eve'))
    expect(Object.keys(event.signatures as object).toSorted()).toEqual(['other.test', 'remote.test'])
    isWelcome = false
    const refused = await guest.event(roomId, guest.user('eva'))
    await expect(guest.sendJoin(roomId, refused)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    expect(await memberOf(roomId, guest.user('eva'))).toBeUndefined()
  })
})
