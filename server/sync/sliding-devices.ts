/**
 * Messages to the device and what it needs for encryption, in an answer of sliding sync. Spec: MSC3885, MSC3884.
 */
import type { E2eeForReaders } from '../e2ee/index.ts'
import type { MembershipEntry, RoomsForReaders } from '../rooms/index.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { ANYBODY, deviceMark } from './batch.ts'
import type { ChangeMarks } from './change-marks.ts'
import { deviceListsPart, toDevicePart } from './device-section.ts'
import { joinedRoomFacts, type RoomFacts } from './joined-room.ts'
import { leftRoomFacts } from './other-rooms.ts'
import type { RoomChanges } from './room-changes.ts'
import { parseToken, writeToken } from './token.ts'

export interface DeviceDeps {
  readonly e2ee: E2eeForReaders
  readonly rooms: RoomsForReaders
  readonly roomChanges: RoomChanges
  /** By user and device, as `deviceMark` names them. */
  readonly toDeviceMarks: ChangeMarks
  /** Under `ANYBODY`: some user's devices or keys. */
  readonly deviceListMarks: ChangeMarks
  readonly acknowledgements: Acknowledgements
}

interface Device {
  readonly userId: string
  readonly deviceId: string
}

/** A part of the answer that is there even where there is nothing new. */
export interface StandingPart {
  readonly text: string
  readonly isNews: boolean
}

/**
 * From where the client has messages: with its own token, which outlives connections.
 * @param position the stream position now
 * @throws MatrixError 400 M_INVALID_PARAM for what is no token
 */
export async function confirmToDevice(
  { acknowledgements }: DeviceDeps,
  device: Device,
  token: { readonly since: string | undefined; readonly position: number },
): Promise<number> {
  if (token.since === undefined || token.since === '') return 0
  const { toDevice } = parseToken(token.since)
  // It is from before a backup was restored, and says nothing of the messages that there are now.
  if (toDevice > token.position) return 0
  await acknowledgements.note(device, toDevice)
  return toDevice
}

/** @param span messages after `since` */
export async function slidingToDevice(
  { e2ee, toDeviceMarks }: DeviceDeps,
  device: Device,
  span: { readonly since: number; readonly upTo: number; readonly limit: number },
): Promise<StandingPart> {
  const { since, upTo } = span
  const mayHaveSome = toDeviceMarks.mayHaveChanged(deviceMark(device.userId, device.deviceId), since)
  const part = mayHaveSome ? await toDevicePart(e2ee, device, span, span.limit) : { events: [], upTo }
  const token = writeToken({ position: part.upTo, ephemeral: undefined, toDevice: part.upTo })
  return { text: `{"next_batch":"${token}","events":[${part.events.join(',')}]}`, isNews: part.events.length > 0 }
}

/** @param query.since `null`: the client must look at all devices by itself */
export async function slidingE2ee(
  deps: DeviceDeps,
  { userId, deviceId }: Device,
  query: {
    readonly since: number | null
    readonly upTo: number
    readonly memberships: ReadonlyMap<string, MembershipEntry>
  },
): Promise<StandingPart> {
  const { e2ee, deviceListMarks } = deps
  const { since, upTo, memberships } = query
  const parts: string[] = []
  if (since !== null) {
    const facts = await factsIn(deps, { since, upTo }, memberships)
    const mayHaveChanged = deviceListMarks.mayHaveChanged(ANYBODY, since)
    const lists = await deviceListsPart(deps, { userId }, { since, upTo, mayHaveChanged, facts })
    if (lists.changed.length + lists.left.length > 0) parts.push(`"device_lists":${JSON.stringify(lists)}`)
  }
  const isNews = parts.length > 0
  // Always there: a client that sees them absent believes that this server has no fallback keys.
  const counts = await e2ee.oneTimeKeyCounts(userId, deviceId)
  const unused = await e2ee.unusedFallbackKeyTypes(userId, deviceId)
  parts.push(`"device_one_time_keys_count":${JSON.stringify(counts)}`)
  parts.push(`"device_unused_fallback_key_types":${JSON.stringify(unused)}`)
  return { text: `{${parts.join(',')}}`, isNews }
}

/** Who came and went in any of the user's rooms, whether or not the client has chosen them. */
async function factsIn(
  { rooms, roomChanges }: DeviceDeps,
  span: { readonly since: number; readonly upTo: number },
  memberships: ReadonlyMap<string, MembershipEntry>,
): Promise<readonly RoomFacts[]> {
  const { since } = span
  const facts: RoomFacts[] = []
  const changed = roomChanges.since(since, Math.max(64, memberships.size * 4)) ?? memberships.keys()
  for (const roomId of changed) {
    const entry = memberships.get(roomId)
    if (!entry) continue
    if (entry.membership === 'join') {
      if (rooms.lastChange(roomId) > since) facts.push(await joinedRoomFacts(rooms, entry, span))
    } else if (entry.position > since && (entry.membership === 'leave' || entry.membership === 'ban')) {
      facts.push(await leftRoomFacts(rooms, entry, since))
    }
  }
  return facts
}
