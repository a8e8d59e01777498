import { expect } from 'vitest'
import { checkAuth, type KnownEvent, type RoomState, roomStateOf } from '../../../server/protocol/auth-rules/index.ts'
import type { Json, JsonObject, Pdu, Verdict } from '../../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS, type RoomVersionRules } from '../../../server/protocol/room-versions.ts'

export const alice = '@alice:one.example'
export const bob = '@bob:two.example'
export const carol = '@carol:three.example'
export const dave = '@dave:two.example'

/** Room versions from one to another, both included, for tables of tests. */
export const versions = (from: number, to: number): readonly string[] => ROOM_VERSIONS.slice(from - 1, to)

/** A room's state as it matters for one verdict. Alice made the room. */
export interface Setting {
  readonly create?: JsonObject
  /** `content` of `m.room.power_levels`; the room has none without it. */
  readonly levels?: JsonObject
  /** `content.join_rule`; the room has no join rules without it. */
  readonly rule?: Json
  readonly members?: Readonly<Record<string, Json>>
  readonly more?: readonly Asked[]
}

/** An event that somebody would like to send. */
export interface Asked {
  readonly by: string
  readonly type: string
  readonly key?: string
  readonly content?: JsonObject
  readonly previous?: readonly string[]
  readonly redacts?: string
  readonly eventId?: string
  readonly signedBy?: readonly string[]
}

export interface Situation {
  readonly rules: RoomVersionRules
  readonly roomId: string
  readonly create: KnownEvent
  readonly state: RoomState
  pdu(asked: Asked): Pdu
  judge(asked: Asked): Verdict
}

export function situation(version: string, setting: Setting = {}): Situation {
  const rules = getRoomVersion(version)
  const createId = rules.eventIds === 'inEvent' ? '$create:one.example' : '$create'
  const roomId = rules.roomIdIsCreateHash ? '!create' : '!room:one.example'
  const refer = (id: string) => (rules.eventIds === 'inEvent' ? ([id, {}] as const) : id)
  const domainOf = (userId: string): string => userId.slice(userId.indexOf(':') + 1)

  const pdu = ({ by, type, key, content = {}, previous = ['$previous'], redacts, eventId, signedBy }: Asked): Pdu => ({
    ...(rules.eventIds === 'inEvent' ? { event_id: eventId ?? `$event:${domainOf(by)}` } : {}),
    room_id: roomId,
    type,
    sender: by,
    ...(key === undefined ? {} : { state_key: key }),
    content,
    prev_events: previous.map(refer),
    auth_events: [],
    depth: 10,
    origin_server_ts: 1_000,
    hashes: { sha256: '' },
    signatures: Object.fromEntries((signedBy ?? [domainOf(by)]).map((server) => [server, { 'ed25519:1': 'x' }])),
    ...(redacts === undefined ? {} : { redacts }),
  })
  const known = (eventId: string, asked: Asked): KnownEvent => ({ eventId, pdu: pdu(asked) })

  const creator = rules.creatorIsSender ? {} : { creator: alice }
  const { room_id: _, ...createPdu } = pdu({
    by: alice,
    type: 'm.room.create',
    key: '',
    content: { room_version: version, ...creator, ...setting.create } as JsonObject,
    previous: [],
  })
  const create: KnownEvent = {
    eventId: createId,
    pdu: rules.roomIdIsCreateHash ? createPdu : { ...createPdu, room_id: roomId },
  }
  const events = [create]
  const add = (asked: Asked): void => void events.push(known(`$state${events.length}`, asked))
  if (setting.levels) add({ by: alice, type: 'm.room.power_levels', key: '', content: setting.levels })
  if (setting.rule !== undefined)
    add({ by: alice, type: 'm.room.join_rules', key: '', content: { join_rule: setting.rule } })
  for (const [key, membership] of Object.entries({ [alice]: 'join', ...setting.members })) {
    add({ by: key, type: 'm.room.member', key, content: { membership } })
  }
  for (const asked of setting.more ?? []) add(asked)

  const state = roomStateOf(
    (type, stateKey) => events.find((event) => event.pdu.type === type && event.pdu.state_key === stateKey),
    rules,
  )
  return { rules, roomId, create, state, pdu, judge: (asked) => checkAuth(pdu(asked), state, rules) }
}

/** The power levels of a room in which alice has 100; alice is not named where she is a creator with infinite power. */
export const levelsOf = (version: string, more: JsonObject = {}, users: JsonObject = {}): JsonObject => ({
  users: { ...(getRoomVersion(version).privilegedCreators ? {} : { [alice]: 100 }), ...users } as JsonObject,
  ...more,
})

export const allowed: Verdict = { ok: true }
/** A verdict that rejects for a reason in which this text occurs. */
export const rejected = (why: string): Verdict => ({ ok: false, why: expect.stringContaining(why) as string })
