import { describe, expect, it } from 'vitest'
import { type Person, startTestServer } from '../../support/test-server.ts'
import * as rig from '../../sync/rig.ts'

describe('client-server-api §Syncing: without since', () => {
  it('gives joined rooms with their state before the timeline, and the newest events', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice, { name: 'Kitchen' })
    for (let i = 0; i < 12; i += 1) await rig.say(alice, roomId, `m${i}`)
    const body = await rig.sync(alice)
    const room = rig.mustJoined(body, roomId)
    expect(room.timeline.limited).toBe(true)
    expect(rig.bodies(room)).toEqual(['m2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8', 'm9', 'm10', 'm11'])
    const types = room.state?.events.map(({ type }) => type)
    expect(types).toContain('m.room.create')
    expect(types).toContain('m.room.name')
    expect(rig.membersIn(room.state?.events ?? [])).toEqual([alice.userId])
    expect(room.state_after).toBeUndefined()
    expect(room.summary).toMatchObject({ 'm.joined_member_count': 1, 'm.invited_member_count': 0 })
    expect(body.next_batch).toMatch(/^s\d+/)
    expect(body.device_one_time_keys_count).toMatchObject({ signed_curve25519: 0 })
    expect(body.device_unused_fallback_key_types).toEqual([])
    expect(server.complaints).toEqual([])
  })

  it('leaves the state empty where the timeline holds all of it', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    const room = rig.mustJoined(await rig.sync(alice, { filter: '{"room":{"timeline":{"limit":50}}}' }), roomId)
    expect(room.timeline.limited).toBe(false)
    expect(room.timeline.events[0]?.type).toBe('m.room.create')
    expect(room.state?.events).toEqual([])
  })

  it('gives a prev_batch from which /messages goes on without a gap or a repetition', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const roomId = await rig.createRoom(alice)
    for (let i = 0; i < 8; i += 1) await rig.say(alice, roomId, `m${i}`)
    const room = rig.mustJoined(await rig.sync(alice, { filter: '{"room":{"timeline":{"limit":3}}}' }), roomId)
    expect(rig.bodies(room)).toEqual(['m5', 'm6', 'm7'])
    const page = await alice.api.get<{ chunk: rig.WireEvent[] }>(
      `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/messages`,
      { from: room.timeline.prev_batch, dir: 'b', limit: 3 },
    )
    expect(page.body.chunk.map(({ content }) => content.body)).toEqual(['m4', 'm3', 'm2'])
  })

  it('shows push rules, account data, invites with stripped state, and no room that was left', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const left = await rig.createRoom(bob)
    await rig.leave(bob, left)
    const invited = await rig.createRoom(alice, { preset: 'private_chat', name: 'Secret' })
    await rig.invite(alice, invited, bob)
    await rig.setAccountData(bob, 'org.example.colors', { theme: 'dark' })
    const body = await rig.sync(bob)
    const types = body.account_data?.events.map(({ type }) => type)
    expect(types).toEqual(expect.arrayContaining(['m.push_rules', 'org.example.colors']))
    expect(Object.keys(body.rooms?.join ?? {})).toEqual([])
    expect(body.rooms?.leave).toBeUndefined()
    const stripped = body.rooms?.invite?.[invited]?.invite_state.events ?? []
    expect(stripped.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.join_rules', 'm.room.member']),
    )
    for (const event of stripped) expect(Object.keys(event).sort()).toEqual(['content', 'sender', 'state_key', 'type'])
  })

  it.each(['invite', 'knock'] as const)('tells of a room by all kinds of stripped state with an %s', async (kind) => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const roomId = await rig.createRoom(alice, {
      preset: 'private_chat',
      name: 'Secret',
      topic: 'Secrets',
      room_alias_name: 'secret',
      initial_state: [
        { type: 'm.room.avatar', content: { url: 'mxc://hearth.test/a' } },
        { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
        { type: 'org.example.private', content: { secret: true } },
      ],
    })
    if (kind === 'invite') await rig.invite(alice, roomId, bob)
    else await rig.knock(bob, roomId)
    const { rooms } = await rig.sync(bob)
    const stripped = rooms?.invite?.[roomId]?.invite_state.events ?? rooms?.knock?.[roomId]?.knock_state.events ?? []
    expect(new Set(stripped.map(({ type }) => type))).toEqual(
      new Set([
        'm.room.create',
        'm.room.name',
        'm.room.avatar',
        'm.room.topic',
        'm.room.join_rules',
        'm.room.canonical_alias',
        'm.room.encryption',
        'm.room.member',
      ]),
    )
    for (const event of stripped) expect(Object.keys(event).sort()).toEqual(['content', 'sender', 'state_key', 'type'])
  })

  it('gives rooms that were left, up to the leave, where the filter asks for them', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.say(alice, roomId, 'before')
    await rig.leave(bob, roomId)
    await rig.say(alice, roomId, 'after')
    const body = await rig.sync(bob, { filter: '{"room":{"include_leave":true}}' })
    const room = body.rooms?.leave?.[roomId]
    expect(rig.bodies(room)).toEqual(['before'])
    expect(room?.timeline.events.at(-1)).toMatchObject({ state_key: bob.userId, content: { membership: 'leave' } })
    await rig.forget(bob, roomId)
    const later = await rig.sync(bob, { filter: '{"room":{"include_leave":true}}' })
    expect(later.rooms?.leave).toBeUndefined()
  })

  it('names heroes of a room without a name: the first members, never the user', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const carol = await server.register('carol')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.invite(alice, roomId, carol)
    const room = rig.mustJoined(await rig.sync(bob), roomId)
    expect(room.summary).toEqual({
      'm.heroes': [alice.userId, carol.userId],
      'm.joined_member_count': 2,
      'm.invited_member_count': 1,
    })
  })

  it('names five heroes of more, those who came first, be they joined or invited', async () => {
    await using server = await startTestServer()
    const names = ['alice', 'bob', 'carol', 'dan', 'erin', 'frank', 'gina']
    const people = []
    for (const name of names) people.push(await server.register(name))
    const [alice, bob, ...others] = people as [Person, Person, ...Person[]]
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    for (const [i, person] of others.entries()) {
      await (i % 2 ? rig.join(person, roomId) : rig.invite(alice, roomId, person))
    }
    const heroes = async (of: Person) => rig.mustJoined(await rig.sync(of), roomId).summary?.['m.heroes']
    const ids = people.map(({ userId }) => userId)
    expect(await heroes(alice)).toEqual(ids.slice(1, 6))
    expect(await heroes(bob)).toEqual(ids.filter((id) => id !== bob.userId).slice(0, 5))
  })

  it('names as heroes those who left or were banned where nobody else is there', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const bob = await server.register('bob')
    const carol = await server.register('carol')
    const roomId = await rig.createRoom(alice)
    await rig.join(bob, roomId)
    await rig.join(carol, roomId)
    await rig.leave(bob, roomId)
    const heroes = async () => rig.mustJoined(await rig.sync(alice), roomId).summary?.['m.heroes']
    expect(await heroes()).toEqual([carol.userId])
    await rig.ban(alice, roomId, carol)
    expect((await heroes()) as string[]).toHaveLength(2)
    expect(new Set((await heroes()) as string[])).toEqual(new Set([bob.userId, carol.userId]))
  })
})
