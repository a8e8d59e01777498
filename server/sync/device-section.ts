/**
 * What an answer holds for end-to-end encryption. Spec: client-server-api §Extensions to /sync (end-to-end encryption,
 * send-to-device messaging).
 */
import type { E2eeForReaders } from '../e2ee/index.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { RoomFacts } from './joined-room.ts'
import type { Viewer } from './viewer.ts'

/** Messages in one answer, as the specification recommends. */
export const MAX_TO_DEVICE = 100

export interface ToDevicePart {
  /** JSON texts. */
  readonly events: readonly string[]
  /** Up to here messages have been sent: the span's end unless there are more. */
  readonly upTo: number
}

export async function toDevicePart(
  e2ee: E2eeForReaders,
  device: { readonly userId: string; readonly deviceId: string },
  span: { readonly since: number; readonly upTo: number },
  limit = MAX_TO_DEVICE,
): Promise<ToDevicePart> {
  const messages = await e2ee.toDeviceSince(device, span.since, span.upTo, limit)
  const last = messages.at(-1)
  const isFull = messages.length >= limit && last !== undefined
  return { events: messages.map(({ json }) => json), upTo: isFull ? last.position : span.upTo }
}

/**
 * Users whose devices the client must look at anew, and users it need no longer follow.
 * @param query.changed whether anybody's devices may have changed in the span
 */
export async function deviceListsPart(
  deps: { readonly e2ee: E2eeForReaders; readonly rooms: RoomsForReaders },
  { userId }: Pick<Viewer, 'userId'>,
  query: {
    readonly since: number
    readonly upTo: number
    readonly mayHaveChanged: boolean
    readonly facts: readonly RoomFacts[]
  },
): Promise<{ readonly changed: readonly string[]; readonly left: readonly string[] }> {
  const { e2ee, rooms } = deps
  const { since, upTo, mayHaveChanged } = query
  const changed = new Set<string>()
  const left = new Set<string>()
  if (mayHaveChanged) {
    for (const other of await e2ee.usersWithChangedDevices(since, upTo)) {
      if (other === userId || (await rooms.shareRoom(userId, other))) changed.add(other)
    }
    for (const other of await e2ee.usersSignedBy(userId, since, upTo)) changed.add(other)
  }
  // Encrypted or not: a client that knows the devices before a room is encrypted sends its first message sooner.
  for (const { met, parted } of query.facts) {
    for (const other of met) changed.add(other)
    for (const other of parted) {
      if (other !== userId && !(await rooms.shareRoom(userId, other))) left.add(other)
    }
  }
  for (const other of left) changed.delete(other)
  return { changed: [...changed], left: [...left] }
}
