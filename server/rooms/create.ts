import { badJson, invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { put } from '../store/index.ts'
import { newAlias, withFreeAlias } from './aliases.ts'
import { checkPowerLevels, checkStateContent } from './content-checks.ts'
import type { RoomsCore } from './core.ts'
import { inviteAll } from './elsewhere/invite.ts'
import { makeRoom, requireRoomVersion } from './make-room.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { initialPowerLevels, PRESETS, type Preset, presetEvents, topicContent } from './presets.ts'
import { propose } from './propose.ts'
import { checkInvitee, findInvitee, setMembership } from './set-membership.ts'
import { aliases } from './store.ts'

/** What the creator asks for; keys as in the request. Spec: client-server-api §POST /createRoom. */
export interface RoomWish {
  readonly creator: string
  /** The application service that acts as the creator, if one does. */
  readonly appserviceId?: string | undefined
  readonly visibility?: 'public' | 'private' | undefined
  readonly room_alias_name?: string | undefined
  readonly name?: string | undefined
  readonly topic?: string | undefined
  readonly invite?: readonly string[] | undefined
  readonly invite_3pid?: readonly unknown[] | undefined
  readonly room_version?: string | undefined
  readonly creation_content?: JsonObject | undefined
  readonly initial_state?: readonly StateWish[] | undefined
  readonly preset?: Preset | undefined
  readonly is_direct?: boolean | undefined
  readonly power_level_content_override?: JsonObject | undefined
}

export interface StateWish {
  readonly type: string
  readonly state_key?: string | undefined
  readonly content: JsonObject
}

/** More than these in one request are refused. */
const MAX_INVITES = 200
const MAX_INITIAL_STATE = 200
const MAX_ADDITIONAL_CREATORS = 200

/**
 * Makes a room: every event through the same pipeline, all of them in one commit.
 *
 * @returns the new room's ID
 * @throws MatrixError 400 M_UNSUPPORTED_ROOM_VERSION, M_ROOM_IN_USE, M_EXCLUSIVE, M_INVALID_ROOM_STATE, M_INVALID_PARAM, M_BAD_JSON;
 *   403 M_INVITE_BLOCKED, M_THREEPID_DENIED; 404 M_NOT_FOUND for an invitee who does not exist. Nothing was made then
 */
export async function createRoom(core: RoomsCore, rooms: OpenRooms, wish: RoomWish): Promise<string> {
  const rules = requireRoomVersion(wish.room_version ?? core.config.defaultRoomVersion)
  if ((wish.invite_3pid?.length ?? 0) > 0) {
    throw new MatrixError('M_THREEPID_DENIED', 403, 'This server does not invite by e-mail address or telephone number')
  }
  const invitees = [...new Set(wish.invite ?? [])].filter((userId) => userId !== wish.creator)
  if (invitees.length > MAX_INVITES) throw invalidParam(`More than ${MAX_INVITES} people are invited at once`)
  if ((wish.initial_state?.length ?? 0) > MAX_INITIAL_STATE) {
    throw invalidParam(`initial_state has more than ${MAX_INITIAL_STATE} entries`)
  }
  for (const userId of invitees) if (!isUserId(userId)) throw invalidParam('invite has an entry that is not a user ID')
  for (const userId of invitees) await findInvitee(core, userId)
  for (const userId of invitees) await checkInvitee(core, userId)
  const plan = { rules, invitees, wish, preset: PRESETS[wish.preset ?? defaultPreset(wish)] }
  if (wish.room_alias_name === undefined) return build(core, rooms, plan, undefined)
  const alias = newAlias(core, wish.room_alias_name)
  core.claims?.requireMayUseAlias(alias, wish.appserviceId ?? null)
  return withFreeAlias(core, alias, 400, () => build(core, rooms, plan, alias))
}

interface Plan {
  readonly rules: RoomVersionRules
  readonly invitees: readonly string[]
  readonly wish: RoomWish
  readonly preset: (typeof PRESETS)[Preset]
}

const defaultPreset = ({ visibility }: RoomWish): Preset => (visibility === 'public' ? 'public_chat' : 'private_chat')

async function build(core: RoomsCore, rooms: OpenRooms, plan: Plan, alias: string | undefined): Promise<string> {
  const { rules, wish, invitees } = plan
  const { creator } = wish
  const roomId = await makeRoom(core, rooms, {
    rules,
    creator,
    content: createContent(plan),
    isPublished: wish.visibility === 'public',
    ops: (roomId) => (alias === undefined ? [] : [put(aliases, { alias, roomId, creator })]),
    stageRest: (room) => stageRest(core, room, plan, alias),
  })
  const strangers = invitees.filter((target) => !core.isLocal(target))
  await inviteAll(core, rooms, { roomId, sender: creator, content: inviteContent(wish) }, strangers)
  return roomId
}

const inviteContent = (wish: RoomWish): JsonObject => (wish.is_direct === true ? { is_direct: true } : {})

function createContent({ rules, wish, invitees, preset }: Plan): JsonObject {
  const { creator: _, additional_creators: asked, ...content } = wish.creation_content ?? {}
  if (content['m.federate'] !== undefined && typeof content['m.federate'] !== 'boolean') {
    throw badJson('m.federate is not a boolean')
  }
  if (content.type !== undefined && typeof content.type !== 'string') throw badJson('The type of a room is a string')
  const creators = rules.privilegedCreators
    ? additionalCreators(asked, wish.creator, preset.trustsInvitees ? invitees : [])
    : []
  return {
    ...content,
    ...(!rules.privilegedCreators && asked !== undefined && { additional_creators: asked }),
    ...(creators.length > 0 && { additional_creators: creators }),
  }
}

/**
 * Who is to have a creator's power besides the creator.
 * @param trusted further ones
 * @throws MatrixError 400 M_BAD_JSON, M_INVALID_PARAM
 */
export function additionalCreators(asked: unknown, creator: string, trusted: readonly string[]): readonly string[] {
  if (asked !== undefined && !(Array.isArray(asked) && asked.every((id) => typeof id === 'string' && isUserId(id)))) {
    throw badJson('additional_creators is not a list of user IDs')
  }
  const creators = new Set([...((asked ?? []) as readonly string[]), ...trusted])
  creators.delete(creator)
  if (creators.size > MAX_ADDITIONAL_CREATORS) {
    throw invalidParam(`additional_creators has more than ${MAX_ADDITIONAL_CREATORS} entries`)
  }
  return [...creators]
}

/** All events after the creator's join, in the order that the specification gives. @returns when the last one is durable */
async function stageRest(
  core: RoomsCore,
  room: OpenRoom,
  plan: Plan,
  alias: string | undefined,
): Promise<{ readonly durable: Promise<unknown> } | undefined> {
  const { rules, wish, preset, invitees } = plan
  const { creator } = wish
  let last: { readonly durable: Promise<unknown> } | undefined
  const set = async (type: string, content: JsonObject, stateKey = ''): Promise<void> => {
    last = await propose(core, room, { type, sender: creator, stateKey, content })
  }
  // 3
  const override = wish.power_level_content_override ?? {}
  checkPowerLevels(override)
  const trusted = preset.trustsInvitees ? invitees : []
  await set('m.room.power_levels', initialPowerLevels({ rules, creator, trusted, preset, override }))
  // 4
  if (alias !== undefined) await set('m.room.canonical_alias', { alias })
  // 5, 6, 7: what a later one sets anew is not set before.
  const initial = initialState(wish)
  const isOverridden = (type: string): boolean =>
    initial.some((state) => state.type === type && (state.state_key ?? '') === '')
  for (const { type, content } of presetEvents(preset)) if (!isOverridden(type)) await set(type, content)
  for (const { type, state_key: stateKey = '', content } of initial) {
    await checkStateContent(core, room, { type, stateKey, content })
    await set(type, content, stateKey)
  }
  if (wish.name !== undefined) await set('m.room.name', { name: wish.name })
  if (wish.topic !== undefined) await set('m.room.topic', topicContent(wish.topic))
  // 8
  const extra = inviteContent(wish)
  for (const target of invitees) {
    if (!core.isLocal(target)) continue
    last = await setMembership(core, room, { sender: creator, target, membership: 'invite', extra })
  }
  return last
}

/** @throws MatrixError 400 M_INVALID_ROOM_STATE for what a request may not set this way */
function initialState({ initial_state: wished = [], name, topic }: RoomWish): readonly StateWish[] {
  for (const { type } of wished) {
    if (type === 'm.room.create' || type === 'm.room.member') {
      throw new MatrixError('M_INVALID_ROOM_STATE', 400, `initial_state may not hold ${type}`)
    }
  }
  return wished.filter(({ type, state_key: stateKey = '' }) => {
    const isReplaced =
      (type === 'm.room.name' && name !== undefined) || (type === 'm.room.topic' && topic !== undefined)
    return stateKey !== '' || !isReplaced
  })
}
