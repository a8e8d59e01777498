/** Hearth and Synapse, cut apart while both go on, and joined again. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  arrived,
  good,
  inPath,
  join,
  makeRoom,
  membershipOf,
  type Person,
  register,
  type SentEvent,
  send,
  setState,
  stateOf,
  until,
} from './side.ts'
import { bothWays, canRun, startWorld, type World } from './world.ts'

const TEST_MS = 180_000

describe.skipIf(!canRun)('Hearth and Synapse, after they could not reach each other', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  }, TEST_MS)
  afterEach(() => heal())
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  const cut = (): void => {
    world.hearth.gate.close()
    world.synapse.gate.close()
  }
  const heal = (): void => {
    world.hearth.gate.open()
    world.synapse.gate.open()
  }
  /** Waits until both have the same state, having something new to say to each other now and then. */
  async function converge(roomId: string, one: Person, other: Person): Promise<ReadonlyMap<string, string>> {
    const picture = async (person: Person) =>
      new Map([...(await stateOf(person, roomId))].map(([key, { event_id }]) => [key, event_id] as const).sort())
    return until(
      'the same state on both',
      async () => {
        await send(one, roomId, 'ping')
        await send(other, roomId, 'pong')
        const [a, b] = [await picture(one), await picture(other)]
        return JSON.stringify([...a]) === JSON.stringify([...b]) ? a : undefined
      },
      90_000,
    )
  }

  /** The room's messages, newest first. */
  async function readBack(reader: Person, roomId: string): Promise<string[]> {
    const eventIds: string[] = []
    let from: string | undefined
    do {
      const page = good(
        await reader.api.get<{ chunk: SentEvent[]; end?: string }>(
          `/_matrix/client/v3/rooms/${inPath(roomId)}/messages`,
          {
            dir: 'b',
            limit: 50,
            ...(from !== undefined && { from }),
          },
        ),
      )
      for (const { type, event_id } of page.chunk) if (type === 'm.room.message') eventIds.push(event_id)
      from = page.end
    } while (from !== undefined)
    return eventIds
  }

  describe.each(bothWays)('a room on $home, a guest from $away', ({ home: homeName, away: awayName }) => {
    async function meet(version: string): Promise<{ alice: Person; bob: Person; roomId: string }> {
      const [home, away] = [world[homeName], world[awayName]]
      const alice = await register(home, 'alice')
      const bob = await register(away, 'bob')
      const roomId = await makeRoom(alice, { version })
      await join(bob, roomId, home.serverName)
      await until('the join', async () => (await membershipOf(alice, roomId, bob.userId)) === 'join' || undefined)
      const levels = good(await alice.api.get(`/_matrix/client/v3/rooms/${inPath(roomId)}/state/m.room.power_levels`))
      const users = { ...(levels.users as Record<string, number>), [bob.userId]: 50 }
      const eventId = await setState(alice, roomId, 'm.room.power_levels', { ...levels, users })
      await until("bob's power", async () => {
        const state = await stateOf(bob, roomId)
        return state.get('m.room.power_levels ')?.event_id === eventId || undefined
      })
      return { alice, bob, roomId }
    }

    it.each(['1', '6', '11', '12'])(
      'comes to the same state where both had changed it: version %s',
      async (version) => {
        const { alice, bob, roomId } = await meet(version)
        cut()
        await setState(alice, roomId, 'm.room.topic', { topic: 'by alice' })
        await setState(bob, roomId, 'm.room.topic', { topic: 'by bob' })
        await setState(bob, roomId, 'm.room.name', { name: 'named by bob' })
        await setState(alice, roomId, 'm.room.join_rules', { join_rule: 'invite' })
        const carol = await register(world[awayName], 'carol')
        // On bob's side the room is still open to everybody.
        await join(carol, roomId)
        const sent = [await send(alice, roomId, 'from here'), await send(bob, roomId, 'from there')]
        heal()
        const state = await converge(roomId, alice, bob)
        expect(state.get('m.room.name ')).toBeDefined()
        for (const eventId of sent) for (const person of [alice, bob]) await arrived(person, roomId, eventId)
      },
      TEST_MS,
    )

    it(
      'gives who was away what was said meanwhile, in order',
      async () => {
        const { alice, bob, roomId } = await meet('12')
        cut()
        const sent: string[] = []
        for (let i = 0; i < 120; i += 1) sent.push(await send(alice, roomId, `meanwhile ${i}`))
        heal()
        sent.push(await send(alice, roomId, 'now'))
        await arrived(bob, roomId, sent.at(-1) ?? '')
        // Synapse takes in only the newest of so many, and the rest when somebody scrolls back.
        const seen = await until('all messages', async () => {
          const found = (await readBack(bob, roomId)).filter((eventId) => sent.includes(eventId))
          return found.length >= sent.length ? found : undefined
        })
        expect(seen.reverse()).toEqual(sent)
      },
      TEST_MS,
    )
  })

  it(
    'sends what a killed Hearth had promised to send',
    async () => {
      const alice = await register(world.hearth, 'alice')
      const bob = await register(world.synapse, 'bob')
      const roomId = await makeRoom(alice)
      await join(bob, roomId, world.hearth.serverName)
      await until('the join', async () => (await membershipOf(alice, roomId, bob.userId)) === 'join' || undefined)
      cut()
      const sent = await send(alice, roomId, 'promised')
      heal()
      await world.hearth.killAndRestart()
      await arrived(bob, roomId, sent)
    },
    TEST_MS,
  )
})
