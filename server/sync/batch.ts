/**
 * One answer of `/sync`: what happened in a span of the stream, for one device.
 */
import type { AccountDataEntry } from '../accounts/index.ts'
import type { E2eeForReaders } from '../e2ee/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { MembershipEntry } from '../rooms/index.ts'
import type { ChangeMarks } from './change-marks.ts'
import { deviceListsPart, type ToDevicePart, toDevicePart } from './device-section.ts'
import { joinedRoom, type RoomDeps, type RoomFacts } from './joined-room.ts'
import { leftRoom, strippedRoomText } from './other-rooms.ts'
import { planRooms, type RoomPlan } from './plan.ts'
import { presenceEvents } from './presence-section.ts'
import type { RoomChanges } from './room-changes.ts'
import { eventsText } from './room-parts.ts'
import type { Span, Viewer } from './viewer.ts'

export interface BatchDeps extends RoomDeps {
  readonly e2ee: E2eeForReaders
  readonly roomChanges: RoomChanges
  /** By user: their account data. */
  readonly accountDataMarks: ChangeMarks
  /** By user and device, as `deviceMark` names them. */
  readonly toDeviceMarks: ChangeMarks
  /** Under `ANYBODY`: some user's devices or keys. */
  readonly deviceListMarks: ChangeMarks
}

export const ANYBODY = 'anybody'
export const deviceMark = (userId: string, deviceId: string): string => JSON.stringify([userId, deviceId])

export interface Batch {
  /** The members of the JSON object besides `next_batch`, each with a comma before it. */
  readonly text: string
  /** Nothing happened: a client that is willing to wait need not be answered. */
  readonly isEmpty: boolean
  readonly toDeviceUpTo: number
  /** In one of the user's rooms somebody types, or may be believed to. */
  readonly seesTyping: boolean
}

/** So many rooms are made up before others get their turn. */
const ROOMS_PER_TURN = 16

/**
 * @param query.span as of one moment: all that is told of is up to `span.upTo`
 * @param query.toDeviceSince messages to the device up to here are there already
 */
export async function makeBatch(
  deps: BatchDeps,
  viewer: Viewer,
  query: { readonly span: Span; readonly toDeviceSince: number },
): Promise<Batch> {
  const { span } = query
  const { since, upTo } = span
  const memberships = await deps.rooms.memberships(viewer.userId)
  const forgotten = since === null ? undefined : await deps.rooms.forgottenMemberships(viewer.userId)
  const changes = changedRooms(deps, span, memberships)
  const seesTyping = [...deps.ephemeral.typing.roomsInUse()].some(
    (roomId) => memberships.get(roomId)?.membership === 'join',
  )
  const accountData = await accountDataIn(deps, viewer, span)
  const affected = new Set<string>()
  if (since !== null && accountData.global.some(({ type }) => type === 'm.push_rules')) {
    for (const roomId of deps.push.unread.roomsToRecount(viewer.userId)) affected.add(roomId)
  }
  const candidates = changes && new Set([...changes, ...accountData.byRoom.keys(), ...affected])
  const plan = planRooms(viewer, span, {
    memberships,
    forgotten,
    candidates: viewer.fullState ? undefined : candidates,
  })
  const rooms = await roomSections(deps, viewer, span, { plan, accountData: accountData.byRoom, affected })

  const toDevice = await toDeviceIn(deps, viewer, query)
  const lists =
    since === null
      ? undefined
      : await deviceListsPart(deps, viewer, {
          since,
          upTo,
          mayHaveChanged: deps.deviceListMarks.mayHaveChanged(ANYBODY, since),
          facts: rooms.facts,
        })
  const presence = await presenceEvents({ presence: deps.ephemeral.presence, rooms: deps.rooms }, viewer, {
    span,
    facts: rooms.facts,
  })
  const global = await globalAccountData(deps, viewer, since === null, accountData.global)

  const sections: string[] = []
  if (rooms.text !== '') sections.push(`"rooms":{${rooms.text}}`)
  if (global.length > 0) sections.push(`"account_data":${eventsText(global)}`)
  if (presence.length > 0) sections.push(`"presence":${eventsText(presence)}`)
  if (toDevice.events.length > 0) sections.push(`"to_device":${eventsText(toDevice.events)}`)
  if (lists && lists.changed.length + lists.left.length > 0) {
    sections.push(`"device_lists":${JSON.stringify(lists)}`)
  }
  const isEmpty = sections.length === 0
  sections.push(...(await keyCounts(deps, viewer)))
  return { text: sections.map((section) => `,${section}`).join(''), isEmpty, toDeviceUpTo: toDevice.upTo, seesTyping }
}

/** Rooms with news of any kind but account data; `undefined` where the client must hear of all rooms. */
function changedRooms(
  { rooms, roomChanges, ephemeral }: BatchDeps,
  { since, sinceSerial, mustClearTyping }: Span,
  memberships: ReadonlyMap<string, MembershipEntry>,
): ReadonlySet<string> | undefined {
  if (since === null || mustClearTyping) return undefined
  const changed = roomChanges.since(since, Math.max(64, memberships.size * 4))
  if (changed) {
    const typed = ephemeral.typing.changedSince(sinceSerial)
    return typed.length === 0 ? changed : new Set([...changed, ...typed])
  }
  const found = new Set<string>()
  for (const { roomId, position } of memberships.values()) {
    if (
      position > since ||
      rooms.lastChange(roomId) > since ||
      ephemeral.receipts.lastChange(roomId) > since ||
      ephemeral.typing.lastSerial(roomId) > sinceSerial
    ) {
      found.add(roomId)
    }
  }
  return found
}

interface AccountDataParts {
  readonly global: readonly AccountDataEntry[]
  readonly byRoom: ReadonlyMap<string, readonly AccountDataEntry[]>
}
const NO_ACCOUNT_DATA: AccountDataParts = { global: [], byRoom: new Map() }

async function accountDataIn(deps: BatchDeps, { userId }: Viewer, { since, upTo }: Span): Promise<AccountDataParts> {
  if (since !== null && !deps.accountDataMarks.mayHaveChanged(userId, since)) return NO_ACCOUNT_DATA
  const global: AccountDataEntry[] = []
  const byRoom = new Map<string, AccountDataEntry[]>()
  for (const entry of await deps.accounts.accountDataSince(userId, since ?? 0, upTo)) {
    if (entry.roomId === null) global.push(entry)
    else if (byRoom.get(entry.roomId)?.push(entry) === undefined) byRoom.set(entry.roomId, [entry])
  }
  return { global, byRoom }
}

/** The user's own account data. Push rules are always there, even where the user has not changed any. */
async function globalAccountData(
  deps: BatchDeps,
  viewer: Viewer,
  isFirst: boolean,
  entries: readonly AccountDataEntry[],
): Promise<readonly string[]> {
  const filter = viewer.filter.accountData
  if (filter.passesNothing) return []
  const shown: { type: string; content: JsonObject }[] = []
  for (const { type, content } of entries) {
    if (filter.passes({ type, content }) && !(isFirst && type === 'm.push_rules')) shown.push({ type, content })
  }
  if (isFirst && filter.passesType('m.push_rules')) {
    const ruleset = await deps.push.rules.rulesetOf(viewer.userId)
    shown.push({ type: 'm.push_rules', content: { global: ruleset } as unknown as JsonObject })
  }
  return shown.map((event) => JSON.stringify(event))
}

async function roomSections(
  deps: BatchDeps,
  viewer: Viewer,
  span: Span,
  query: {
    readonly plan: RoomPlan
    readonly accountData: ReadonlyMap<string, readonly AccountDataEntry[]>
    readonly affected: ReadonlySet<string>
  },
): Promise<{ readonly text: string; readonly facts: readonly RoomFacts[] }> {
  const { plan } = query
  const facts: RoomFacts[] = []
  let turn = 0
  const section = async (
    name: string,
    entries: readonly { readonly roomId: string }[],
    textOf: (index: number) => string | undefined | Promise<string | undefined>,
  ): Promise<string | undefined> => {
    const texts: string[] = []
    for (const [index, { roomId }] of entries.entries()) {
      const text = await textOf(index)
      if (text !== undefined) texts.push(`${JSON.stringify(roomId)}:${text}`)
      turn += 1
      if (turn % ROOMS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return texts.length === 0 ? undefined : `"${name}":{${texts.join(',')}}`
  }
  const accountDataOf = (roomId: string): readonly AccountDataEntry[] => query.accountData.get(roomId) ?? []

  const texts = [
    await section('join', plan.joined, async (index) => {
      const entry = plan.joined[index] as (typeof plan.joined)[number]
      const room = await joinedRoom(deps, viewer, span, {
        entry,
        accountData: accountDataOf(entry.roomId),
        mustShow: query.affected.has(entry.roomId),
      })
      facts.push(room.facts)
      return room.text
    }),
    await section('leave', plan.left, async (index) => {
      const entry = plan.left[index] as (typeof plan.left)[number]
      const room = await leftRoom(deps, viewer, span, { entry, accountData: accountDataOf(entry.roomId) })
      facts.push(room.facts)
      return room.text
    }),
    await section('invite', plan.invited, (index) =>
      strippedRoomText(plan.invited[index] as (typeof plan.invited)[number]),
    ),
    await section('knock', plan.knocked, (index) =>
      strippedRoomText(plan.knocked[index] as (typeof plan.knocked)[number]),
    ),
  ]
  return { text: texts.filter((text) => text !== undefined).join(','), facts }
}

async function toDeviceIn(
  deps: BatchDeps,
  { userId, deviceId }: Viewer,
  { span, toDeviceSince }: { readonly span: Span; readonly toDeviceSince: number },
): Promise<ToDevicePart> {
  const { upTo } = span
  if (deviceId === null || !deps.toDeviceMarks.mayHaveChanged(deviceMark(userId, deviceId), toDeviceSince)) {
    return { events: [], upTo }
  }
  return toDevicePart(deps.e2ee, { userId, deviceId }, { since: toDeviceSince, upTo })
}

/** Always there: a client that sees them absent believes that this server has no fallback keys. */
async function keyCounts({ e2ee }: BatchDeps, { userId, deviceId }: Viewer): Promise<readonly string[]> {
  if (deviceId === null) return []
  const counts = await e2ee.oneTimeKeyCounts(userId, deviceId)
  const unused = await e2ee.unusedFallbackKeyTypes(userId, deviceId)
  return [
    `"device_one_time_keys_count":${JSON.stringify(counts)}`,
    `"device_unused_fallback_key_types":${JSON.stringify(unused)}`,
  ]
}
