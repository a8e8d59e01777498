import { describe, expect, it } from 'vitest'
import { finishEvent } from '../../../server/protocol/event-signing.ts'
import type { Json, JsonObject, Pdu } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../../server/protocol/room-versions.ts'
import type { Rooms } from '../../../server/rooms/index.ts'
import { type LinkedServer, startLinkedRooms, strangersKey } from '../../support/linked-rooms.ts'

type Two = readonly [LinkedServer, LinkedServer]
const ALICE = '@alice:alpha.test'
const BOB = '@bob:beta.test'

async function startWorld(version = '11', wish: Partial<Parameters<Rooms['createRoom']>[0]> = {}) {
  const linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: version })
  const [alpha, beta] = linked.servers as unknown as Two
  const roomId = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat', name: 'Kitchen', ...wish })
  const invite = (): Promise<void> => alpha.rooms.invite({ roomId, by: ALICE, target: BOB })
  return { linked, alpha, beta, roomId, invite }
}

describe('server-server-api §Inviting to a room', () => {
  it.each(ROOM_VERSIONS)(
    'invites a user of another server to a room of version %s, who may then come in',
    async (version) => {
      const { linked, alpha, beta, roomId, invite } = await startWorld(version)
      await using _linked = linked
      const heard = Promise.withResolvers<readonly string[]>()
      beta.rooms.onEvent(({ concerned }) => heard.resolve([...concerned]))
      await invite()
      expect(await heard.promise).toEqual([BOB])
      const entry = await beta.rooms.findMembership(BOB, roomId)
      expect(entry).toMatchObject({ membership: 'invite', sender: ALICE, previous: null })
      const shown = new Map((entry?.strippedState ?? []).map((event) => [event.type, event]))
      expect(shown.get('m.room.name')).toMatchObject({ content: { name: 'Kitchen' }, state_key: '', sender: ALICE })
      expect(Object.keys(shown.get('m.room.create') ?? {}).sort()).toEqual(['content', 'sender', 'state_key', 'type'])
      expect(entry?.strippedState?.at(-1)).toMatchObject({ type: 'm.room.member', state_key: BOB, sender: ALICE })
      using view = await alpha.rooms.open(roomId)
      const member = view.state.get('m.room.member', BOB)
      expect(member?.eventId).toBe(entry?.eventId)
      expect(Object.keys(member?.pdu.signatures ?? {}).sort()).toEqual(['alpha.test', 'beta.test'])
      // The inviter's server is known by the invite.
      await beta.rooms.join({ roomId, userId: BOB, isGuest: false })
      expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'join', previous: 'invite' })
    },
  )

  it('keeps the invite over a restart', async () => {
    const { linked, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    await invite()
    await beta.restart()
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite' })
    expect((await beta.rooms.memberships(BOB)).has(roomId)).toBe(true)
  })

  it('makes no event of an invite that the other server does not sign', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    const strip = (answer: Json): Json => ({
      ...(answer as JsonObject),
      signatures: { 'alpha.test': ((answer as JsonObject).signatures as JsonObject)['alpha.test'] as Json },
    })
    alpha.intercept({ sendInvite: strip })
    await expect(invite()).rejects.toMatchObject({ status: 502 })
    linked.cut(alpha, beta)
    await expect(invite()).rejects.toMatchObject({ status: 502 })
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', BOB)).toBeUndefined()
  })

  it('does not take another event for the one that it sent', async () => {
    const { linked, alpha, roomId, invite } = await startWorld()
    await using _linked = linked
    alpha.intercept({ sendInvite: (answer) => ({ ...(answer as JsonObject), origin_server_ts: 5 }) })
    await expect(invite()).rejects.toMatchObject({ status: 502 })
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', BOB)).toBeUndefined()
  })

  it("tells the inviter that the user wants no invites, or is not there, in the other server's words", async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    beta.test.setAccountData(BOB, 'm.invite_permission_config', { default_action: 'block' })
    await expect(invite()).rejects.toMatchObject({ status: 403, errcode: 'M_INVITE_BLOCKED' })
    const nobody = alpha.rooms.invite({ roomId, by: ALICE, target: '@nobody:beta.test' })
    await expect(nobody).rejects.toMatchObject({ status: 404 })
  })

  it('asks the other server only for an invite that the room allows', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    await expect(alpha.rooms.invite({ roomId, by: '@eve:alpha.test', target: BOB })).rejects.toMatchObject({
      status: 403,
    })
    expect(alpha.asked).toEqual([])
    await invite()
    await invite()
    expect(alpha.asked).toEqual(['sendInvite beta.test'])
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite' })
  })

  it('makes a room also where one of the invited cannot be reached', async () => {
    const { linked, alpha, beta } = await startWorld()
    await using _linked = linked
    const roomId = await alpha.rooms.createRoom({
      creator: ALICE,
      preset: 'trusted_private_chat',
      is_direct: true,
      invite: ['@zoe:nowhere.test', BOB, '@carol:alpha.test'],
    })
    using view = await alpha.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('invite')
    expect(view.membershipOf('@carol:alpha.test')).toBe('invite')
    expect(view.membershipOf('@zoe:nowhere.test')).toBeUndefined()
    const entry = await beta.rooms.findMembership(BOB, roomId)
    expect(entry?.strippedState?.at(-1)?.content).toMatchObject({ is_direct: true })
  })

  it('takes an invite to a room that it is in as an event of the room, too', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld('11', { preset: 'public_chat' })
    await using _linked = linked
    await beta.rooms.join({ roomId, userId: '@ben:beta.test', isGuest: false })
    await linked.deliver(beta, alpha, roomId)
    await invite()
    using view = await beta.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('invite')
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite' })
    await beta.rooms.join({ roomId, userId: BOB, isGuest: false })
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'join' })
  })

  it('lets a stranger invite only so often', async () => {
    const { linked, alpha, beta } = await startWorld()
    await using _linked = linked
    const refused: unknown[] = []
    for (let i = 0; i < 25; i += 1) {
      const roomId = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat' })
      await alpha.rooms
        .invite({ roomId, by: ALICE, target: `@user${i}:beta.test` })
        .catch((error) => refused.push(error))
    }
    expect(refused).toHaveLength(5)
    expect(refused[0]).toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
    beta.test.clock.advance(60_000)
    const roomId = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat' })
    await alpha.rooms.invite({ roomId, by: ALICE, target: BOB })
  })
})

describe('server-server-api §PUT /invite, what servers must not sign', () => {
  const V11 = getRoomVersion('11')
  const create = { type: 'm.room.create', state_key: '', sender: '@eve:evil.test', content: { room_version: '11' } }

  async function attack() {
    const linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: '11' })
    const [, beta] = linked.servers as unknown as Two
    const key = strangersKey(66)
    linked.keys.set('evil.test', key)
    const draft = {
      room_id: '!room:evil.test',
      type: 'm.room.member',
      sender: '@eve:evil.test',
      state_key: BOB,
      content: { membership: 'invite' } as JsonObject,
      prev_events: [`$${'a'.repeat(43)}`],
      auth_events: [`$${'b'.repeat(43)}`],
      depth: 5,
      origin_server_ts: 1_800_000_000_000,
    }
    type Draft = typeof draft & { readonly unsigned?: JsonObject }
    const send = (
      changes: Partial<Draft> = {},
      rest: {
        origin?: string
        roomId?: string
        eventId?: string
        forge?: (pdu: Pdu) => Pdu
        told?: readonly Json[]
        version?: string
      } = {},
    ) => {
      const { eventId, pdu } = finishEvent({
        draft: { ...draft, ...changes },
        rules: V11,
        serverName: 'evil.test',
        key,
      })
      return beta.rooms.forServers.receiveInvite({
        roomId: rest.roomId ?? '!room:evil.test',
        eventId: rest.eventId ?? eventId,
        roomVersion: rest.version ?? '11',
        event: (rest.forge?.(pdu) ?? pdu) as unknown as Json,
        strippedState: rest.told ?? [create],
        origin: rest.origin ?? 'evil.test',
      })
    }
    return { linked, beta, send }
  }

  it('takes one that is as it should be', async () => {
    const { linked, beta, send } = await attack()
    await using _linked = linked
    const signed = await send()
    expect(Object.keys(signed.signatures as JsonObject).sort()).toEqual(['beta.test', 'evil.test'])
    expect(await beta.rooms.findMembership(BOB, '!room:evil.test')).toMatchObject({ membership: 'invite' })
  })

  type Send = Awaited<ReturnType<typeof attack>>['send']
  const forgeries: readonly (readonly [string, (send: Send) => Promise<unknown>, object])[] = [
    ['of another type', (send) => send({ type: 'm.room.message' }), { status: 400, errcode: 'M_INVALID_PARAM' }],
    ['that is a join of our user', (send) => send({ content: { membership: 'join' } }), { errcode: 'M_INVALID_PARAM' }],
    ['that is sent by our user', (send) => send({ sender: BOB }), { errcode: 'M_INVALID_PARAM' }],
    ['of a user of a third server', (send) => send({ state_key: '@carol:gamma.test' }), { errcode: 'M_INVALID_PARAM' }],
    ['for a user who is not here', (send) => send({ state_key: '@nobody:beta.test' }), { status: 404 }],
    ['passed on by another server', (send) => send({}, { origin: 'other.test' }), { errcode: 'M_INVALID_PARAM' }],
    ['of another room', (send) => send({}, { roomId: '!other:evil.test' }), { errcode: 'M_INVALID_PARAM' }],
    ['under another ID', (send) => send({}, { eventId: `$${'x'.repeat(43)}` }), { errcode: 'M_INVALID_PARAM' }],
    [
      'without a signature',
      (send) => send({}, { forge: (pdu) => ({ ...pdu, signatures: {} }) }),
      { errcode: 'M_INVALID_PARAM' },
    ],
    [
      'whose content was changed',
      (send) => send({}, { forge: (pdu) => ({ ...pdu, content: { ...pdu.content, displayname: 'x' } }) }),
      { errcode: 'M_INVALID_PARAM' },
    ],
    [
      'by address without a signature',
      (send) =>
        send(
          { content: { membership: 'invite', third_party_invite: { signed: {} } } },
          { forge: (pdu) => ({ ...pdu, signatures: {} }) },
        ),
      { errcode: 'M_INVALID_PARAM' },
    ],
    [
      'that is too large',
      (send) => send({ content: { membership: 'invite', big: 'x'.repeat(70_000) } }),
      { errcode: 'M_INVALID_PARAM' },
    ],
    [
      'of an unknown room version',
      (send) => send({}, { version: '99' }),
      { status: 400, errcode: 'M_INCOMPATIBLE_ROOM_VERSION' },
    ],
    [
      "of a version that the room's ID does not fit",
      (send) => send({}, { version: '12' }),
      { errcode: 'M_INVALID_PARAM' },
    ],
  ]
  it.each(forgeries)('does not sign an invite %s', async (_, forge, error) => {
    const { linked, beta, send } = await attack()
    await using _linked = linked
    await expect(forge(send)).rejects.toMatchObject(error)
    expect((await beta.rooms.memberships(BOB)).size).toBe(0)
  })

  it('keeps no more of the room than clients can take', async () => {
    const { linked, beta, send } = await attack()
    await using _linked = linked
    const big = { ...create, type: 'm.room.topic', content: { topic: 'x'.repeat(50_000) } }
    const told = [
      create,
      5,
      null,
      { type: 3 },
      { ...create, sender: 'nobody' },
      ...Array.from({ length: 500 }, () => big),
    ]
    await send({}, { told })
    const entry = await beta.rooms.findMembership(BOB, '!room:evil.test')
    expect(JSON.stringify(entry?.strippedState).length).toBeLessThan(200_000)
    expect(entry?.strippedState?.[0]).toEqual(create)
  })

  it('refuses an invite to a version 12 room whose create event is missing, stripped, or that of another room', async () => {
    await using linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: '12' })
    const [alpha, beta] = linked.servers as unknown as Two
    const roomId = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat' })
    const other = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat', name: 'Other' })
    using view = await alpha.rooms.open(other)
    const foreign = view.state.get('m.room.create')?.pdu as unknown as Json
    const attempts: readonly (readonly [readonly Json[], string])[] = [
      [[], 'M_MISSING_PARAM'],
      [[{ type: 'm.room.create', state_key: '', sender: ALICE, content: { room_version: '12' } }], 'M_INVALID_PARAM'],
      [[foreign], 'M_INVALID_PARAM'],
    ]
    using own = await alpha.rooms.open(roomId)
    for (const [told, errcode] of attempts) {
      const draft = {
        room_id: roomId,
        type: 'm.room.member',
        sender: ALICE,
        state_key: BOB,
        content: { membership: 'invite' },
        prev_events: [own.state.get('m.room.member', ALICE)?.eventId ?? ''],
        auth_events: [own.state.get('m.room.member', ALICE)?.eventId ?? ''],
        depth: 9,
        origin_server_ts: 1_800_000_000_000,
      }
      const rules = getRoomVersion('12')
      const { eventId, pdu } = finishEvent({ draft, rules, serverName: 'alpha.test', key: alpha.key })
      const event = pdu as unknown as Json
      const invite = { roomId, eventId, roomVersion: '12', event, strippedState: told, origin: 'alpha.test' }
      await expect(beta.rooms.forServers.receiveInvite(invite)).rejects.toMatchObject({ status: 400, errcode })
    }
    expect((await beta.rooms.memberships(BOB)).size).toBe(0)
  })
})

describe('server-server-api §Leaving Rooms (Rejecting Invites)', () => {
  it.each(ROOM_VERSIONS)('turns down an invite to a room of version %s', async (version) => {
    const { linked, alpha, beta, roomId, invite } = await startWorld(version)
    await using _linked = linked
    await invite()
    await beta.rooms.leave({ roomId, userId: BOB, reason: 'busy' })
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', BOB)?.pdu).toMatchObject({
      content: { membership: 'leave', reason: 'busy' },
    })
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'leave', previous: 'invite' })
  })

  it('rids the user of an invite whose server is gone, also after a restart', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    await invite()
    linked.cut(alpha, beta)
    await beta.restart()
    const heard: string[] = []
    beta.rooms.onEvent(({ event }) => void heard.push(String(event.pdu.content.membership)))
    await beta.rooms.leave({ roomId, userId: BOB })
    expect(heard).toEqual(['leave'])
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'leave' })
    await beta.rooms.forget(roomId, BOB)
    expect((await beta.rooms.memberships(BOB)).size).toBe(0)
    // A new invite is another story.
    linked.heal(alpha, beta)
    await alpha.rooms.kick({ roomId, by: ALICE, target: BOB })
    await invite()
    expect((await beta.rooms.memberships(BOB)).get(roomId)?.membership).toBe('invite')
  })

  it('knows the version of the room where the other server does not name it', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld('11')
    await using _linked = linked
    await invite()
    beta.intercept({ makeMembership: (template) => ({ ...template, roomVersion: undefined }) })
    await beta.rooms.leave({ roomId, userId: BOB })
    using view = await alpha.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('leave')
  })

  it('signs nothing but a leave for it', async () => {
    const { linked, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    await invite()
    beta.intercept({
      makeMembership: (template) => ({ ...template, event: { ...template.event, content: { membership: 'join' } } }),
    })
    await beta.rooms.leave({ roomId, userId: BOB })
    expect(beta.asked.filter((call) => call.startsWith('sendLeave'))).toEqual([])
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'leave' })
  })

  it('knows that a user has nothing to do with a room', async () => {
    const { linked, beta, roomId } = await startWorld()
    await using _linked = linked
    await expect(beta.rooms.leave({ roomId, userId: BOB })).rejects.toMatchObject({ status: 403 })
  })

  it('hears that an invite is taken back, from the room alone', async () => {
    const { linked, alpha, beta, roomId, invite } = await startWorld()
    await using _linked = linked
    await invite()
    await alpha.rooms.kick({ roomId, by: ALICE, target: BOB })
    using view = await alpha.rooms.open(roomId)
    const kick = view.state.get('m.room.member', BOB)?.pdu as unknown as JsonObject
    const send = (pdu: Json): Promise<unknown> => beta.rooms.incoming.receivePdus('alpha.test', [pdu])
    const forged: readonly Json[] = [
      { ...kick, signatures: {} },
      { ...kick, auth_events: [] },
      { ...kick, content: { membership: 'join' } },
      { ...kick, room_id: '!other:alpha.test' },
      { ...kick, state_key: '@carol:beta.test' },
    ]
    for (const pdu of forged) await send(pdu)
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite' })
    await send(kick)
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'leave', sender: ALICE })
  })
})

describe('server-server-api §Knocking upon a room', () => {
  it.each(['7', '8', '9', '10', '11', '12'])('asks to be let into a room of version %s, and is', async (version) => {
    const { linked, alpha, beta, roomId, invite } = await startWorld(version, {
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
    })
    await using _linked = linked
    await beta.rooms.knock({ roomId, userId: BOB, reason: 'please', via: ['alpha.test'] })
    const entry = await beta.rooms.findMembership(BOB, roomId)
    expect(entry).toMatchObject({ membership: 'knock', previous: null })
    expect(entry?.strippedState?.map(({ type }) => type)).toContain('m.room.name')
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', BOB)?.pdu.content).toMatchObject({ membership: 'knock', reason: 'please' })
    await invite()
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite', previous: 'knock' })
    await beta.rooms.join({ roomId, userId: BOB, isGuest: false })
    expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'join' })
  })

  it('has knocked also where it is shown nothing of the room', async () => {
    const { linked, alpha, beta, roomId } = await startWorld('12', {
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
    })
    await using _linked = linked
    beta.intercept({ sendKnock: () => [null, 1, { type: 'm.room.create', state_key: '', sender: ALICE, content: {} }] })
    await beta.rooms.knock({ roomId, userId: BOB, via: ['alpha.test'] })
    const entry = await beta.rooms.findMembership(BOB, roomId)
    expect(entry?.strippedState?.map(({ type }) => type)).toEqual(['m.room.member'])
    using view = await alpha.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('knock')
  })

  it('takes a knock back', async () => {
    const { linked, alpha, beta, roomId } = await startWorld('12', {
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
    })
    await using _linked = linked
    await beta.rooms.knock({ roomId, userId: BOB, via: ['alpha.test'] })
    await beta.restart()
    await beta.rooms.leave({ roomId, userId: BOB })
    using view = await alpha.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('leave')
  })

  it('says so where nobody can knock', async () => {
    const { linked, beta, roomId } = await startWorld('11')
    await using _linked = linked
    const knock = beta.rooms.knock({ roomId, userId: BOB, via: ['alpha.test'] })
    await expect(knock).rejects.toMatchObject({ status: 403 })
    expect(await beta.rooms.findMembership(BOB, roomId)).toBeUndefined()
  })
})
