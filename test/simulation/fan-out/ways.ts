/** Ways for an event to come from the home that it is from to all others. */
import { createHash } from 'node:crypto'
import type { Home, World } from './world.ts'

/** Tells whom a home has to pass an event on to. */
export interface Way {
  readonly name: string
  /** @param eventId decides who passes it on, so that this is somebody else each time */
  spread(world: World, event: { readonly id: string; readonly bytes: number }, onArrived: (home: Home) => void): void
}

/** As Matrix servers do today: the author sends to each. */
export const fullMesh: Way = {
  name: 'full mesh',
  spread(world, { bytes }, onArrived) {
    const [author, ...others] = world.homes
    if (!author) return
    for (const to of others) world.send(author, to, bytes, () => onArrived(to), ignore)
  },
}

/** As `fullMesh`, where the author knows from before who is away. */
export const fullMeshKnowing: Way = {
  name: 'full mesh, knows who is away',
  spread(world, { bytes }, onArrived) {
    const [author, ...others] = world.homes
    if (!author) return
    for (const to of others) if (to.isOnline) world.send(author, to, bytes, () => onArrived(to), ignore)
  },
}

/**
 * The ring: all homes in the order of a hash of their name and the event's ID, the author first. Home `i` passes the event on
 * to homes `k·i + 1` to `k·i + k`. With several rings each is the one before, turned by a part of it, so that who passes
 * on in one is among the last of the others. Whoever cannot reach a home passes the event on to that home's successors itself.
 *
 * @param successors `k`
 * @param rings how many ways lead to each home
 */
export function ring(successors: number, rings: number): Way {
  return {
    name: `ring, ${successors} successors${rings === 1 ? '' : `, ${rings} ways`}`,
    spread(world, { id, bytes }, onArrived) {
      const [author, ...others] = world.homes
      if (!author) return
      const order = others
        .map((home) => ({ home, place: placeOf(home.name, id) }))
        .sort((a, b) => (a.place < b.place ? -1 : 1))
        .map(({ home }) => home)
      const turned = Array.from({ length: rings }, (_, turn) => {
        const by = Math.floor((order.length * turn) / rings)
        return [author, ...order.slice(by), ...order.slice(0, by)]
      })
      const places = turned.map((homes) => new Map(homes.map((home, i) => [home, i])))
      const hasIt = new Set<Home>([author])

      const successorsOf = (home: Home, turn: number): readonly Home[] => {
        const first = successors * (places[turn]?.get(home) ?? 0) + 1
        return (turned[turn] ?? []).slice(first, first + successors)
      }
      const passOn = (from: Home, of: Home, turn: number): void => {
        for (const to of successorsOf(of, turn)) {
          const arrived = (): void => {
            if (hasIt.has(to)) return
            hasIt.add(to)
            onArrived(to)
            for (let each = 0; each < rings; each += 1) passOn(to, to, each)
          }
          world.send(from, to, bytes, arrived, (isThere) => {
            if (!isThere) passOn(from, to, turn)
          })
        }
      }
      for (let turn = 0; turn < rings; turn += 1) passOn(author, author, turn)
    },
  }
}

const placeOf = (name: string, eventId: string): string =>
  createHash('sha256').update(`${eventId}\n${name}`).digest('base64')

function ignore(): void {
  // Nobody else is to be told.
}
