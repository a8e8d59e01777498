import { describe, expect, it } from 'vitest'
import { startTestServer } from '../../support/test-server.ts'
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
})
