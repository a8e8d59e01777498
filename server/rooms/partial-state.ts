/** Rooms that were joined without all of their members: the rest comes behind. Spec: server-server-api §PUT /send_join, `omit_members`. */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Clock } from '../observe/environment.ts'
import { collection, type Reader } from '../store/index.ts'
import type { Heads } from './heads.ts'

export type PartialRoomRow = {
  readonly roomId: string
  /** The join that this server came in by. */
  readonly joinEventId: string
  /** The state group before it. */
  readonly group: number
  /** The server that we came in through. */
  readonly from: string
  /** JSON: names of the servers in the room, as that one gave them. */
  readonly servers: string
}

/** Rooms whose members are not all known yet. */
export const partialRooms = collection<PartialRoomRow>({
  name: 'partial-rooms',
  place: 'home',
  key: 'roomId',
  indexes: [],
})

/** What is known of a room whose members are not. */
export interface PartialState {
  readonly roomId: string
  /** The join that this server came in by; all state before it but the members is known. */
  readonly joinEventId: string
  readonly group: number
  readonly from: string
  /** The servers in the room then, without ours; they are told of what happens until the members are known. */
  readonly servers: ReadonlySet<string>
  /** Resolved when the members are known. */
  readonly completed: PromiseWithResolvers<void>
}

export const partialState = (facts: Omit<PartialState, 'completed'>): PartialState => ({
  ...facts,
  completed: Promise.withResolvers(),
})

export const partialRow = ({
  roomId,
  joinEventId,
  group,
  from,
  servers,
}: Omit<PartialState, 'completed'>): PartialRoomRow => ({
  roomId,
  joinEventId,
  group,
  from,
  servers: JSON.stringify([...servers]),
})

/** The mark of a room that lacks members, if it does. */
export async function readPartialState(home: Reader, roomId: string): Promise<PartialState | undefined> {
  const row = await home.get(partialRooms, roomId)
  return row && partialState({ ...row, servers: new Set(JSON.parse(row.servers) as string[]) })
}

/** Counted for a server whose members are not known, so that those who are seen to leave never bring it down to none. */
const MANY = 1_000_000

/** Members with the servers that are known to be in the room, whoever is there of them. */
export function withPartialServers<M extends Pick<Heads, 'servers'>>(members: M, partial: PartialState | undefined): M {
  if (!partial) return members
  const servers = new Map(members.servers)
  for (const name of partial.servers) {
    const count = servers.get(name) ?? 0
    if (count < MANY / 2) servers.set(name, count + MANY)
  }
  return { ...members, servers }
}

/** Whoever needs to know the members waits so long for them. */
const MAX_WAIT_MS = 30_000

/**
 * Waits until all members of a room are known, for what would be wrong without them.
 * @throws MatrixError 503 where that takes too long
 */
export async function membersKnown(
  clock: Clock,
  room: { readonly partial: PartialState | undefined },
  maxWaitMs = MAX_WAIT_MS,
): Promise<void> {
  const { partial } = room
  if (!partial) return
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(maxWaitMs, resolve)
  await Promise.race([partial.completed.promise, late])
  cancel()
  if (room.partial) {
    throw new MatrixError('M_UNKNOWN', 503, 'The members of this room are not known yet. Try again in a while')
  }
}
