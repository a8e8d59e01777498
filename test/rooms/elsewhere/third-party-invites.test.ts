import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../server/protocol/pdu.ts'
import { signJson } from '../../../server/protocol/signing.ts'
import { type LinkedServer, startLinkedRooms, strangersKey } from '../../support/linked-rooms.ts'

type Two = readonly [LinkedServer, LinkedServer]
const ALICE = '@alice:alpha.test'
const BOB = '@bob:beta.test'
const identity = strangersKey(42)
const TOKEN = 'token-of-the-invite'

/** Alice has invited somebody by an address of theirs; the identity server says that it is Bob's. */
async function startWorld(version = '11') {
  const linked = await startLinkedRooms(['alpha.test', 'beta.test'], { defaultRoomVersion: version })
  const [alpha, beta] = linked.servers as unknown as Two
  const roomId = await alpha.rooms.createRoom({ creator: ALICE, preset: 'private_chat' })
  await alpha.rooms.setState({
    roomId,
    requester: alpha.test.user('alice'),
    type: 'm.room.third_party_invite',
    stateKey: TOKEN,
    content: {
      display_name: 'b...@example.org',
      key_validity_url: 'https://identity.test/valid',
      public_key: identity.publicKey,
      public_keys: [{ public_key: identity.publicKey }],
    },
  })
  const signed = (mxid = BOB, key = identity, token = TOKEN): JsonObject =>
    signJson({ mxid, sender: ALICE, token }, 'identity.test', key) as unknown as JsonObject
  return { linked, alpha, beta, roomId, signed }
}

describe('server-server-api §Third-party invites', () => {
  it.each(['1', '6', '8', '11', '12'])(
    'invites the user to a room of version %s with the help of the inviter’s server',
    async (version) => {
      const { linked, alpha, beta, roomId, signed } = await startWorld(version)
      await using _linked = linked
      await beta.rooms.forServers.claimAddressInvite({ roomId, sender: ALICE, signed: signed() })
      expect(await beta.rooms.findMembership(BOB, roomId)).toMatchObject({ membership: 'invite', sender: ALICE })
      using view = await alpha.rooms.open(roomId)
      expect(view.state.get('m.room.member', BOB)?.pdu.content.third_party_invite).toMatchObject({
        display_name: 'b...@example.org',
        signed: { mxid: BOB, token: TOKEN },
      })
      await beta.rooms.join({ roomId, userId: BOB, isGuest: false })
    },
  )

  it('lets the user claim the invite while joining', async () => {
    const { linked, alpha, beta, roomId, signed } = await startWorld()
    await using _linked = linked
    const addressInvite = { sender: ALICE, signed: signed() }
    await beta.rooms.join({ roomId, userId: BOB, isGuest: false, addressInvite })
    using view = await alpha.rooms.open(roomId)
    expect(view.membershipOf(BOB)).toBe('join')
    const other = beta.rooms.join({ roomId, userId: '@ben:beta.test', isGuest: false, addressInvite })
    await expect(other).rejects.toMatchObject({ status: 403 })
  })

  it('makes the invite itself where its server is in the room', async () => {
    const { linked, alpha, beta, roomId, signed } = await startWorld()
    await using _linked = linked
    await alpha.rooms.invite({ roomId, by: ALICE, target: '@ben:beta.test' })
    await beta.rooms.join({ roomId, userId: '@ben:beta.test', isGuest: false })
    await beta.rooms.forServers.claimAddressInvite({ roomId, sender: ALICE, signed: signed() })
    using view = await beta.rooms.open(roomId)
    const member = view.state.get('m.room.member', BOB)
    expect(member).toMatchObject({ isRelayed: true, pdu: { sender: ALICE } })
    await linked.deliver(beta, alpha, roomId)
    using there = await alpha.rooms.open(roomId)
    expect(there.state.get('m.room.member', BOB)?.eventId).toBe(member?.eventId)
  })

  const forgeries: readonly (readonly [
    string,
    (world: Awaited<ReturnType<typeof startWorld>>) => JsonObject,
    object,
  ])[] = [
    ['that another key signed', ({ signed }) => signed(BOB, strangersKey(43)), { status: 403 }],
    ['for another user', ({ signed }) => ({ ...signed('@carol:beta.test'), mxid: BOB }), { status: 403 }],
    ['with a token that the room does not know', ({ signed }) => signed(BOB, identity, 'other'), { status: 403 }],
    ['without signatures', ({ signed }) => ({ ...signed(), signatures: {} }), { status: 403 }],
    ['for a user of another server', ({ signed }) => signed(ALICE), { status: 400 }],
    ['for nobody', ({ signed }) => signed('bob'), { status: 400 }],
  ]
  it.each(forgeries)('refuses a claim %s', async (_, forge, error) => {
    const world = await startWorld()
    const { linked, alpha, beta, roomId } = world
    await using _linked = linked
    const claim = beta.rooms.forServers.claimAddressInvite({ roomId, sender: ALICE, signed: forge(world) })
    await expect(claim).rejects.toMatchObject(error)
    using view = await alpha.rooms.open(roomId)
    expect(view.state.get('m.room.member', BOB)).toBeUndefined()
    expect(await beta.rooms.findMembership(BOB, roomId)).toBeUndefined()
  })

  it('exchanges an invite only for a user of the server that asks, sent by a user of this one', async () => {
    const { linked, alpha, roomId, signed } = await startWorld()
    await using _linked = linked
    const event = (changes: JsonObject = {}): JsonObject => ({
      type: 'm.room.member',
      room_id: roomId,
      sender: ALICE,
      state_key: BOB,
      content: { membership: 'invite', third_party_invite: { display_name: 'b', signed: signed() } },
      ...changes,
    })
    const exchange = (changes: JsonObject, origin = 'beta.test') =>
      alpha.rooms.forServers.exchangeAddressInvite({ roomId, event: event(changes), origin })
    await expect(exchange({}, 'gamma.test')).rejects.toMatchObject({ status: 403 })
    await expect(exchange({ sender: '@eve:gamma.test' })).rejects.toMatchObject({ status: 403 })
    await expect(exchange({ room_id: '!other:alpha.test' })).rejects.toMatchObject({ status: 400 })
    await expect(exchange({ type: 'm.room.name' })).rejects.toMatchObject({ status: 400 })
    await expect(exchange({ state_key: '@ben:beta.test' })).rejects.toMatchObject({ status: 400 })
    await expect(exchange({ content: { membership: 'join' } })).rejects.toMatchObject({ status: 400 })
  })
})
