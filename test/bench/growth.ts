/** What must not grow: a message's cost with the room's history, a sync's with the rooms that did not change. */
import type { BenchClient, Person } from './bench-client.ts'
import { at, people, type Scenario, text } from './scenarios.ts'

const SENT_AT_ONCE = 16
const ROOMS_MADE_AT_ONCE = 8

/** @param sizes how much there is at the large end */
export function growthScenarios(sizes: { readonly events: number; readonly rooms: number }): readonly Scenario[] {
  const membership = once((client: BenchClient) => memberOfManyRooms(client, sizes.rooms))
  return [
    ...[100, sizes.events].map((events) => sendAfter(events)),
    emptySync('1 room', (client) => memberOfManyRooms(client, 1)),
    emptySync(`${sizes.rooms} rooms`, membership),
    sendAndSync('1 room', (client) => memberOfManyRooms(client, 1)),
    sendAndSync(`${sizes.rooms} rooms, one with news`, membership),
    {
      name: `first sync of ${sizes.rooms} rooms`,
      async prepare(client) {
        const { person } = await membership(client)
        // Another timeout each time, so that no answer comes from a cache of whole answers.
        let calls = 0
        const run = async (): Promise<void> => {
          calls += 1
          await client.sync(person, undefined, calls)
        }
        return { workers: 1, run }
      },
    },
  ]
}

interface Member {
  readonly person: Person
  readonly roomId: string
}

function sendAfter(events: number): Scenario {
  return {
    name: `growth: send a message after ${events} events`,
    async prepare(client) {
      const { person, roomId } = await memberOfManyRooms(client, 1)
      await sideBySide(events, SENT_AT_ONCE, () => client.send(person, roomId, text))
      return { workers: 1, run: async () => void (await client.send(person, roomId, text)) }
    },
  }
}

function emptySync(what: string, prepare: (client: BenchClient) => Promise<Member>): Scenario {
  return {
    name: `growth: empty sync, ${what}`,
    async prepare(client) {
      const { person } = await prepare(client)
      const { next_batch: first } = await client.sync(person, undefined, 0)
      const { next_batch } = await client.sync(person, first, 0)
      return { workers: 1, run: async () => void (await client.sync(person, next_batch, 0)) }
    },
  }
}

function sendAndSync(what: string, prepare: (client: BenchClient) => Promise<Member>): Scenario {
  return {
    name: `growth: a message and the sync that brings it, ${what}`,
    async prepare(client) {
      const { person, roomId } = await prepare(client)
      let since = (await client.sync(person, undefined, 0)).next_batch
      const run = async (): Promise<void> => {
        await client.send(person, roomId, text)
        since = (await client.sync(person, since, 0)).next_batch
      }
      return { workers: 1, run }
    },
  }
}

async function memberOfManyRooms(client: BenchClient, rooms: number): Promise<Member> {
  const person = at(await people(client, 1), 0)
  const roomId = await client.createRoom(person)
  await sideBySide(rooms - 1, ROOMS_MADE_AT_ONCE, () => client.createRoom(person))
  return { person, roomId }
}

/** So many times, by so many workers. */
export async function sideBySide(count: number, workers: number, work: () => Promise<unknown>): Promise<void> {
  let left = count
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (left > 0) {
        left -= 1
        await work()
      }
    }),
  )
}

/** Prepares the same thing once for each server. */
function once<T>(prepare: (client: BenchClient) => Promise<T>): (client: BenchClient) => Promise<T> {
  const prepared = new WeakMap<BenchClient, Promise<T>>()
  return (client) => {
    const known = prepared.get(client) ?? prepare(client)
    prepared.set(client, known)
    return known
  }
}
