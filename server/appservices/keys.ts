/**
 * What application services get for end-to-end encryption: messages to devices, device lists, counts of keys. MSC3202, and
 * MSC4203 for the messages, by the names that bridges in use know.
 */
import type { Appservice } from './appservice.ts'
import type { Interest } from './interest.ts'
import type { KeySource, RoomSource, SourceEvent } from './sources.ts'

/** Messages of one transaction. */
const MAX_TO_DEVICE = 100
/** Of how many users of an encrypted room the counts are told. */
const MAX_COUNTED_USERS = 200

export interface DeviceId {
  readonly userId: string
  readonly deviceId: string
}

/** Messages to one device that have been told, up to this position. */
export interface Acknowledgement extends DeviceId {
  readonly upTo: number
}

export interface ToldMessages {
  /** JSON texts. */
  readonly events: readonly string[]
  readonly acknowledge: readonly Acknowledgement[]
  /** Whether some devices have more. */
  readonly isCut: boolean
}

/** Messages that wait for these devices. */
export async function toDeviceMessages(
  keys: KeySource,
  devices: Iterable<DeviceId>,
  upTo: number,
): Promise<ToldMessages> {
  const events: string[] = []
  const acknowledge: Acknowledgement[] = []
  for (const device of devices) {
    const left = MAX_TO_DEVICE - events.length
    if (left <= 0) return { events, acknowledge, isCut: true }
    const messages = await keys.toDeviceSince(device, 0, upTo, left)
    for (const { json } of messages) {
      const address = { to_user_id: device.userId, to_device_id: device.deviceId }
      events.push(JSON.stringify({ ...(JSON.parse(json) as object), ...address }))
    }
    const last = messages.at(-1)
    if (last) acknowledge.push({ ...device, upTo: last.position })
    if (messages.length === left) return { events, acknowledge, isCut: true }
  }
  return { events, acknowledge, isCut: false }
}

/** Users whose devices are to be looked at anew, and those who are no longer met in any room. */
export async function deviceLists(
  { keys, rooms, interest, service }: { keys: KeySource; rooms: RoomSource; interest: Interest; service: Appservice },
  span: { readonly since: number; readonly upTo: number },
  events: readonly SourceEvent[],
): Promise<{ readonly changed: readonly string[]; readonly left: readonly string[] }> {
  const changed = new Set<string>()
  const left = new Set<string>()
  for (const userId of await keys.usersWithChangedDevices(span.since, span.upTo)) {
    if (await interest.inUser(userId)) changed.add(userId)
  }
  for (const { pdu, roomId } of events) {
    const userId = pdu.type === 'm.room.member' ? pdu.state_key : undefined
    if (userId === undefined) continue
    const isIn = pdu.content.membership === 'join'
    const isOwn = service.ownsUser(userId)
    if (isIn && isOwn) for (const other of await rooms.joinedUsers(roomId)) changed.add(other)
    else if (isIn) changed.add(userId)
    else if (!isOwn && !(await interest.inUser(userId))) left.add(userId)
  }
  for (const userId of left) changed.delete(userId)
  return { changed: [...changed], left: [...left] }
}

type ByDevice<T> = Readonly<Record<string, Readonly<Record<string, T>>>>

/**
 * How many keys devices have left: of those that were written to, and of the application service's users in rooms in which
 * something encrypted was said. MSC3202 §Optimization.
 */
export async function keyCounts(
  deps: {
    readonly keys: KeySource
    readonly rooms: RoomSource
    readonly interest: Interest
    readonly devicesOf: (userId: string) => Promise<readonly { readonly deviceId: string }[]>
  },
  written: readonly DeviceId[],
  events: readonly SourceEvent[],
): Promise<{ readonly oneTime: ByDevice<object>; readonly fallback: ByDevice<readonly string[]> }> {
  const users = new Set(written.map(({ userId }) => userId))
  const encryptedIn = new Set(events.filter(({ pdu }) => pdu.type === 'm.room.encrypted').map(({ roomId }) => roomId))
  for (const roomId of encryptedIn) {
    for (const userId of deps.interest.ownOf(await deps.rooms.joinedUsers(roomId))) {
      if (users.size < MAX_COUNTED_USERS) users.add(userId)
    }
  }
  const oneTime: [string, Record<string, object>][] = []
  const fallback: [string, Record<string, readonly string[]>][] = []
  for (const userId of users) {
    const devices = await deps.devicesOf(userId)
    if (devices.length === 0) continue
    const counts = devices.map(async ({ deviceId }) => [deviceId, await deps.keys.oneTimeKeyCounts(userId, deviceId)])
    const types = devices.map(async ({ deviceId }) => [
      deviceId,
      await deps.keys.unusedFallbackKeyTypes(userId, deviceId),
    ])
    oneTime.push([userId, Object.fromEntries(await Promise.all(counts)) as Record<string, object>])
    fallback.push([userId, Object.fromEntries(await Promise.all(types)) as Record<string, readonly string[]>])
  }
  return { oneTime: Object.fromEntries(oneTime), fallback: Object.fromEntries(fallback) }
}
