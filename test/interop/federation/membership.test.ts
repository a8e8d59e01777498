/** Hearth and Synapse: who is in a room, both ways round. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  arrived,
  follow,
  good,
  inPath,
  join,
  makeRoom,
  membershipOf,
  type Person,
  register,
  type Side,
  type SyncReply,
  send,
  stateOf,
  until,
} from './side.ts'
import { bothWays, canRun, startWorld, type World } from './world.ts'

const TEST_MS = 120_000
let asked = 0
const VERSIONS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']

describe.skipIf(!canRun)('Hearth and Synapse, memberships', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  }, TEST_MS)
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  describe.each(bothWays)('a room on $home, a guest from $away', ({ home: homeName, away: awayName }) => {
    let home: Side
    let away: Side
    let alice: Person
    let bob: Person

    beforeAll(async () => {
      home = world[homeName]
      away = world[awayName]
      alice = await register(home, 'alice')
      bob = await register(away, 'bob')
    })

    const act = async (person: Person, roomId: string, action: string, body: object = {}): Promise<void> => {
      good(await person.api.post(`/_matrix/client/v3/rooms/${inPath(roomId)}/${action}`, body))
    }
    const sees = (reader: Person, roomId: string, userId: string, wanted: string): Promise<true> =>
      until(`${userId} ${wanted} as ${reader.userId} sees it`, async () =>
        (await membershipOf(reader, roomId, userId)) === wanted ? true : undefined,
      )
    const invited = (person: Person, roomId: string): Promise<readonly string[]> =>
      until(`an invite of ${person.userId}`, async () => {
        // Synapse repeats its answer to the same question for a while.
        asked += 1
        const { rooms } = good(await person.api.get<SyncReply>('/_matrix/client/v3/sync', { timeout: asked }))
        return rooms?.invite?.[roomId]?.invite_state.events.map(({ type }) => type)
      })

    it.each(VERSIONS)(
      'is joined by its ID and a server that is in it, and talked in: version %s',
      async (version) => {
        const roomId = await makeRoom(alice, { version })
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        await arrived(alice, roomId, await send(bob, roomId, 'hello'))
        await arrived(bob, roomId, await send(alice, roomId, 'and to you'))
        expect([...(await stateOf(bob, roomId))].map(([key, { event_id }]) => [key, event_id]).sort()).toEqual(
          [...(await stateOf(alice, roomId))].map(([key, { event_id }]) => [key, event_id]).sort(),
        )
      },
      TEST_MS,
    )

    it.each(VERSIONS)(
      'is entered by an invite, and left again: version %s',
      async (version) => {
        const roomId = await makeRoom(alice, { preset: 'private_chat', version, name: 'Kitchen' })
        await act(alice, roomId, 'invite', { user_id: bob.userId })
        expect(await invited(bob, roomId)).toContain('m.room.name')
        await join(bob, roomId)
        await sees(alice, roomId, bob.userId, 'join')
        await act(bob, roomId, 'leave')
        await sees(alice, roomId, bob.userId, 'leave')
      },
      TEST_MS,
    )

    it(
      'is not entered: the invite is turned down',
      async () => {
        const roomId = await makeRoom(alice, { preset: 'private_chat' })
        await act(alice, roomId, 'invite', { user_id: bob.userId })
        await invited(bob, roomId)
        await act(bob, roomId, 'leave')
        await sees(alice, roomId, bob.userId, 'leave')
      },
      TEST_MS,
    )

    it(
      'takes an invite back, so that it is seen no more',
      async () => {
        const roomId = await makeRoom(alice, { preset: 'private_chat' })
        const sync = await follow(bob)
        await act(alice, roomId, 'invite', { user_id: bob.userId })
        await sync('the invite', ({ rooms }) => rooms?.invite?.[roomId] !== undefined)
        await act(alice, roomId, 'kick', { user_id: bob.userId })
        await sync('the end of the invite', ({ rooms }) => rooms?.leave?.[roomId] !== undefined)
      },
      TEST_MS,
    )

    it(
      'refuses a stranger without an invite',
      async () => {
        const roomId = await makeRoom(alice, { preset: 'private_chat' })
        const reply = await bob.api.post(
          `/_matrix/client/v3/join/${inPath(roomId)}`,
          {},
          { via: home.serverName, server_name: home.serverName },
        )
        expect(reply.status).toBe(403)
        expect(reply.body.errcode).toBe('M_FORBIDDEN')
      },
      TEST_MS,
    )

    it(
      'is entered by an invite in which the room was made',
      async () => {
        const roomId = await makeRoom(alice, { preset: 'private_chat', invite: [bob.userId] })
        await invited(bob, roomId)
        await join(bob, roomId)
        await sees(alice, roomId, bob.userId, 'join')
      },
      TEST_MS,
    )

    it(
      'is knocked on, and lets in',
      async () => {
        const rule = { type: 'm.room.join_rules', content: { join_rule: 'knock' } }
        const knock = async (roomId: string): Promise<void> => {
          const query = { via: home.serverName, server_name: home.serverName }
          good(await bob.api.post(`/_matrix/client/v3/knock/${inPath(roomId)}`, { reason: 'please' }, query))
          await sees(alice, roomId, bob.userId, 'knock')
        }
        const open = await makeRoom(alice, { preset: 'private_chat', initial: [rule] })
        await knock(open)
        await act(alice, open, 'invite', { user_id: bob.userId })
        await invited(bob, open)
        await join(bob, open)
        await sees(alice, open, bob.userId, 'join')
      },
      TEST_MS,
    )

    // Synapse tells nobody else that its user does not wish to come in any more.
    if (awayName === 'hearth') {
      it(
        'takes a knock back',
        async () => {
          const roomId = await makeRoom(alice, {
            preset: 'private_chat',
            initial: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
          })
          good(
            await bob.api.post(
              `/_matrix/client/v3/knock/${inPath(roomId)}`,
              {},
              { via: home.serverName, server_name: home.serverName },
            ),
          )
          await sees(alice, roomId, bob.userId, 'knock')
          await act(bob, roomId, 'leave')
          await sees(alice, roomId, bob.userId, 'leave')
        },
        TEST_MS,
      )
    }

    it.each(['8', '9', '10', '11', '12'])(
      'lets members of another room in, and nobody else: version %s',
      async (version) => {
        const club = await makeRoom(alice, { version })
        await join(bob, club, home.serverName)
        await sees(alice, club, bob.userId, 'join')
        const roomId = await makeRoom(alice, {
          preset: 'private_chat',
          version,
          initial: [
            {
              type: 'm.room.join_rules',
              content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] },
            },
          ],
        })
        const carol = await register(away, 'carol')
        const refused = await carol.api.post(
          `/_matrix/client/v3/join/${inPath(roomId)}`,
          {},
          { via: home.serverName, server_name: home.serverName },
        )
        expect(refused.status).toBe(403)
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        await arrived(bob, roomId, await send(alice, roomId, 'welcome'))
      },
      TEST_MS,
    )

    it(
      'throws somebody out, bans them, and forgives',
      async () => {
        const roomId = await makeRoom(alice)
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        const sync = await follow(bob)
        await act(alice, roomId, 'ban', { user_id: bob.userId, reason: 'noise' })
        await sync('the ban', ({ rooms }) => rooms?.leave?.[roomId] !== undefined)
        const refused = await bob.api.post(
          `/_matrix/client/v3/join/${inPath(roomId)}`,
          {},
          { via: home.serverName, server_name: home.serverName },
        )
        expect(refused.status).toBe(403)
        await act(alice, roomId, 'unban', { user_id: bob.userId })
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        await arrived(bob, roomId, await send(alice, roomId, 'welcome back'))
      },
      TEST_MS,
    )

    it(
      'is joined again after everybody of a server had left',
      async () => {
        const roomId = await makeRoom(alice)
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        await act(bob, roomId, 'leave')
        await sees(alice, roomId, bob.userId, 'leave')
        await send(alice, roomId, 'nobody hears this')
        good(await alice.api.put(`/_matrix/client/v3/rooms/${inPath(roomId)}/state/m.room.topic`, { topic: 'changed' }))
        await join(bob, roomId, home.serverName)
        await sees(alice, roomId, bob.userId, 'join')
        expect((await stateOf(bob, roomId)).get('m.room.topic ')?.content).toEqual({ topic: 'changed' })
        await arrived(alice, roomId, await send(bob, roomId, 'here again'))
        await arrived(bob, roomId, await send(alice, roomId, 'hello again'))
      },
      TEST_MS,
    )

    it(
      'has a second guest from the same server, who needs nobody else',
      async () => {
        const roomId = await makeRoom(alice)
        await join(bob, roomId, home.serverName)
        const dora = await register(away, 'dora')
        await join(dora, roomId)
        await sees(alice, roomId, dora.userId, 'join')
        await arrived(alice, roomId, await send(dora, roomId, 'me too'))
      },
      TEST_MS,
    )
  })
})
