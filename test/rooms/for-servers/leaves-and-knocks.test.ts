import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../../server/protocol/pdu.ts'
import { GuestServer, signsInvites, textOf } from '../../support/guest-server.ts'
import { peersOf, remoteKey } from '../../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../../support/test-rooms.ts'

const remote = { name: 'remote.test', key: remoteKey(3) }
let t: TestRooms
let guest: GuestServer
beforeEach(async () => {
  t = await startTestRooms({ peers: { ...peersOf([remote]), sendInvite: signsInvites(remote) } })
  guest = new GuestServer(t.rooms, remote)
})
afterEach(() => t[Symbol.asyncDispose]())

const alice = '@alice:hearth.test'
const refusal = (errcode: string, status: number) => expect.objectContaining({ errcode, status })
const makeRoom = (joinRule: string, version = '11'): Promise<string> =>
  t.rooms.createRoom({
    creator: alice,
    preset: 'private_chat',
    room_version: version,
    name: 'The room',
    initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: joinRule } }],
  })
const setState = (roomId: string, type: string, content: JsonObject, stateKey = '') =>
  t.rooms.setState({ roomId, requester: t.user('alice'), type, stateKey, content })

async function memberOf(roomId: string, userId: string): Promise<unknown> {
  using view = await t.rooms.open(roomId)
  return view.membershipOf(userId)
}

async function knock(roomId: string, userId: string): Promise<readonly JsonObject[]> {
  const { eventId, pdu } = await guest.event(roomId, userId, 'knock')
  const sent = { server: guest.name, roomId, eventId, json: pdu as unknown as Json }
  return (await t.rooms.forServers.takeKnock(sent)).map((text) => JSON.parse(text) as JsonObject)
}

describe('server-server-api §Leaving Rooms (Rejecting Invites)', () => {
  it('takes a declined invite, a leave and a knock that is taken back, and relays them', async () => {
    const relayed: unknown[] = []
    t.rooms.onEvent(({ event }) => event.isRelayed && relayed.push(event.eventId))
    const roomId = await makeRoom('knock')
    const eve = guest.user('eve')
    await setState(roomId, 'm.room.member', { membership: 'invite' }, eve)
    const declined = await guest.leave(roomId, eve)
    expect(await memberOf(roomId, eve)).toBe('leave')
    await knock(roomId, eve)
    expect(await memberOf(roomId, eve)).toBe('knock')
    const retracted = await guest.leave(roomId, eve)
    await setState(roomId, 'm.room.member', { membership: 'invite' }, eve)
    await guest.join(roomId, eve)
    const left = await guest.leave(roomId, eve)
    expect(await memberOf(roomId, eve)).toBe('leave')
    expect(relayed).toEqual(expect.arrayContaining([declined, retracted, left]))
  })

  it('says 403 to who is not in the room, is banned, or asks about a room that is not here', async () => {
    const roomId = await makeRoom('public')
    const eve = guest.user('eve')
    await expect(guest.template(roomId, eve, 'leave')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await guest.join(roomId, eve)
    const event = await guest.event(roomId, eve, 'leave')
    await setState(roomId, 'm.room.member', { membership: 'ban' }, eve)
    await expect(guest.template(roomId, eve, 'leave')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    const sent = { server: guest.name, roomId, eventId: event.eventId, json: event.pdu as unknown as Json }
    await expect(t.rooms.forServers.takeLeave(sent)).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    expect(await memberOf(roomId, eve)).toBe('ban')
    await expect(guest.template('!none:hearth.test', eve, 'leave')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
  })

  it('takes no join for a leave', async () => {
    const roomId = await makeRoom('public')
    const { eventId, pdu } = await guest.event(roomId, guest.user('eve'))
    const sent = { server: guest.name, roomId, eventId, json: pdu as unknown as Json }
    await expect(t.rooms.forServers.takeLeave(sent)).rejects.toEqual(refusal('M_INVALID_PARAM', 400))
    await expect(t.rooms.forServers.takeKnock(sent)).rejects.toEqual(refusal('M_INVALID_PARAM', 400))
    expect(await memberOf(roomId, guest.user('eve'))).toBeUndefined()
  })
})

describe('server-server-api §Knocking upon a room', () => {
  it.each(['7', '10', '11', '12'])(
    'takes a knock, and tells in events what room it is (version %s)',
    async (version) => {
      const roomId = await makeRoom('knock', version)
      const eve = guest.user('eve')
      const told = await knock(roomId, eve)
      expect(await memberOf(roomId, eve)).toBe('knock')
      const types = told.map(({ type }) => type)
      expect(types).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.join_rules']))
      expect(types).not.toContain('m.room.member')
      for (const pdu of told) expect(pdu).toHaveProperty('signatures')
      // Who knocked sees nothing more than that.
      const asked = t.rooms.forServers.backfill({ server: guest.name, roomId, from: ['$any'], limit: 1 })
      await expect(asked).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    },
  )

  it('refuses it where the room takes none, the version knows none, or the server is shut out', async () => {
    const eve = guest.user('eve')
    await expect(guest.template(await makeRoom('invite'), eve, 'knock')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await expect(guest.template(await makeRoom('public', '6'), eve, 'knock')).rejects.toEqual(
      refusal('M_FORBIDDEN', 403),
    )
    const roomId = await makeRoom('knock')
    await expect(guest.template(roomId, eve, 'knock', ['7'])).rejects.toMatchObject({
      errcode: 'M_INCOMPATIBLE_ROOM_VERSION',
      extra: { room_version: '11' },
    })
    await setState(roomId, 'm.room.server_acl', { allow: ['*'], deny: ['remote.test'] })
    await expect(guest.template(roomId, eve, 'knock')).rejects.toEqual(refusal('M_FORBIDDEN', 403))
    await expect(guest.template('!none:hearth.test', eve, 'knock')).rejects.toEqual(refusal('M_NOT_FOUND', 404))
  })
})

describe('long histories', () => {
  it('an auth chain of thousands of events is read to its end', async () => {
    const roomId = await makeRoom('public')
    await guest.join(roomId, guest.user('eve'))
    const changes = 3_000
    let last = ''
    for (let i = 0; i < changes; i += 1) {
      last = await setState(roomId, 'm.room.power_levels', {
        users: { [alice]: 100 },
        events: { 'm.room.name': i % 100 },
      })
    }
    const text = await textOf(await t.rooms.forServers.readEventAuth({ server: guest.name, roomId, eventId: last }))
    const { auth_chain: chain } = JSON.parse(text) as { auth_chain: JsonObject[] }
    // All of them but the last, the first one of the room, its create event and its creator's join.
    expect(chain).toHaveLength(changes - 1 + 3)
  })
})
