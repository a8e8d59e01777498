/** Replacing a room by one of another version. Spec: client-server-api §Room Upgrades. */
import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { readPowerLevels, roomStateOf } from '../protocol/auth-rules/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { type Op, put, remove } from '../store/index.ts'
import type { EventWish } from './build.ts'
import { carryOver } from './carry-over.ts'
import type { RoomsCore } from './core.ts'
import { additionalCreators } from './create.ts'
import { makeRoom, newRoomId, requireRoomVersion } from './make-room.ts'
import type { OpenRoom } from './open-room.ts'
import type { OpenRooms } from './open-rooms.ts'
import { buildOnHead, propose, proposeBuilt } from './propose.ts'
import { publishedRow } from './published-rooms.ts'
import { carriedBans, carriedCreateContent, carriedPowerLevels, carriedState } from './replacement-state.ts'
import { setMembership } from './set-membership.ts'
import { type AliasRow, aliases, publishedRooms, roomIndex } from './store.ts'

export interface UpgradeWish {
  readonly roomId: string
  readonly userId: string
  readonly version: string
  readonly additionalCreators?: readonly string[] | undefined
}

/** A request that is repeated within this time gets the room that the first one made. */
const REPEATED_WITHIN_MS = 5 * 60_000

/**
 * Makes the replacement, and sends everybody there. Two commits: a stop between them leaves a room that nobody hears of, and
 * the old one as it was.
 *
 * @returns the new room's ID
 * @throws MatrixError 400 M_UNSUPPORTED_ROOM_VERSION, M_BAD_JSON; 403 M_FORBIDDEN
 */
export async function upgradeRoom(core: RoomsCore, rooms: OpenRooms, wish: UpgradeWish): Promise<string> {
  const rules = requireRoomVersion(wish.version)
  const creators = rules.privilegedCreators ? additionalCreators(wish.additionalCreators, wish.userId, []) : []
  const { roomId, userId } = wish
  const listed = await core.store.home.range(aliases, { index: 'roomId', from: roomId, to: `${roomId}\u0000` })
  const replacement = await withAliases(core, listed, () =>
    rooms.useAsMember(roomId, async (old) => {
      const { newRoom, durable } = await old.enter(() => replace(core, rooms, old, { userId, rules, creators }))
      await Promise.all(durable)
      return newRoom
    }),
  )
  await carryOver(core, rooms, { userId, roomId: replacement })
  return replacement
}

/** Runs work while nobody else can change any of these aliases. */
function withAliases<T>(core: RoomsCore, [first, ...rest]: readonly AliasRow[], work: () => Promise<T>): Promise<T> {
  if (!first) return work()
  return core.store.exclusive(`rooms alias ${first.alias}`, () => withAliases(core, rest, work))
}

interface Upgrade {
  readonly userId: string
  readonly rules: RoomVersionRules
  readonly creators: readonly string[]
}

/** Only within `enter` of the old room. */
async function replace(
  core: RoomsCore,
  rooms: OpenRooms,
  old: OpenRoom,
  upgrade: Upgrade,
): Promise<{ readonly newRoom: string; readonly durable: readonly Promise<unknown>[] }> {
  const { userId, rules } = upgrade
  // What is handed on must not be taken back by a commit that fails.
  await old.flushed()
  requireMayReplace(old, userId)
  const known = await replacementJustMade(core, rooms, old, upgrade)
  if (known !== undefined) return { newRoom: known, durable: [] }

  const predecessor = { room_id: old.roomId }
  if (rules.roomIdIsCreateHash) {
    // The new room's ID depends on its create event, so that one cannot name the tombstone.
    const lastKnown = old.head.extremities.at(-1)?.eventId
    const named = lastKnown === undefined ? predecessor : { ...predecessor, event_id: lastKnown }
    const newRoom = await makeReplacement(core, rooms, old, upgrade, named)
    const tombstone = await buildOnHead(core, old, tombstoneWish(userId, newRoom))
    return { newRoom, durable: await retire(core, rooms, old, { userId, newRoom, tombstone }) }
  }
  const newRoom = newRoomId(core)
  const tombstone = await buildOnHead(core, old, tombstoneWish(userId, newRoom))
  const named = { ...predecessor, event_id: tombstone.built.event.eventId }
  await makeReplacement(core, rooms, old, upgrade, named, newRoom)
  return { newRoom, durable: await retire(core, rooms, old, { userId, newRoom, tombstone }) }
}

/** @throws MatrixError 403 M_FORBIDDEN */
function requireMayReplace(old: OpenRoom, userId: string): void {
  const { state, joined } = old.head
  if (!joined.has(userId)) throw forbidden('You are not in this room')
  const powers = roomStateOf((type, stateKey) => state.get(type, stateKey), old.rules)
  if (powers.power(userId) < powers.powerToSend('m.room.tombstone', true)) {
    throw forbidden('You have too little power to upgrade this room')
  }
}

/** The room that the same person made of this one a moment ago: the answer to their first request was lost. */
async function replacementJustMade(
  core: RoomsCore,
  rooms: OpenRooms,
  old: OpenRoom,
  { userId, rules }: Upgrade,
): Promise<string | undefined> {
  const pdu = old.head.state.get('m.room.tombstone')?.pdu
  const { replacement_room: newRoom } = pdu?.content ?? {}
  if (pdu?.sender !== userId || typeof newRoom !== 'string') return undefined
  if (core.environment.clock.now() - Number(pdu.origin_server_ts) > REPEATED_WITHIN_MS) return undefined
  using held = await rooms.hold(newRoom)
  return held?.room.rules.version === rules.version ? newRoom : undefined
}

const tombstoneWish = (sender: string, newRoom: string): EventWish => ({
  type: 'm.room.tombstone',
  sender,
  stateKey: '',
  content: { body: 'This room has been replaced', replacement_room: newRoom },
})

function makeReplacement(
  core: RoomsCore,
  rooms: OpenRooms,
  old: OpenRoom,
  { userId, rules, creators }: Upgrade,
  predecessor: JsonObject,
  roomId?: string,
): Promise<string> {
  const before = { state: old.head.state, rules: old.rules }
  return makeRoom(core, rooms, {
    rules,
    creator: userId,
    content: {
      ...carriedCreateContent(before),
      ...(creators.length > 0 && { additional_creators: creators }),
      predecessor,
    },
    ...(roomId !== undefined && { roomId }),
    // It is listed when the old one no longer is.
    isPublished: false,
    async stageRest(room) {
      for (const { type, stateKey, content } of carriedState(before, rules)) {
        await propose(core, room, { type, sender: userId, stateKey, content })
      }
      for (const ban of carriedBans(before)) {
        await setMembership(core, room, { sender: userId, membership: 'ban', ...ban })
      }
      const aliased = canonicalAliasOf(core, old, 'ours')
      if (aliased) {
        await propose(core, room, { type: 'm.room.canonical_alias', sender: userId, stateKey: '', content: aliased })
      }
      // Last, since by the old room's levels its members may not set all of that.
      const content = carriedPowerLevels(before, { rules, creator: userId, creators })
      return propose(core, room, { type: 'm.room.power_levels', sender: userId, stateKey: '', content })
    },
  })
}

/**
 * The aliases in the room's canonical alias event that move with it, or those that stay because another server has them.
 * @returns `undefined` for none, or where the event would stay as it is
 */
function canonicalAliasOf(core: RoomsCore, old: OpenRoom, which: 'ours' | 'others'): JsonObject | undefined {
  const content = old.head.state.get('m.room.canonical_alias')?.pdu.content
  if (!content) return undefined
  const isOurs = (alias: unknown): boolean =>
    typeof alias === 'string' && serverNameOf(alias) === core.environment.serverName
  const { alias, alt_aliases: alternatives } = content
  const listed = Array.isArray(alternatives) ? alternatives : []
  if (![alias, ...listed].some(isOurs)) return undefined
  const isKept = (one: unknown): boolean => isOurs(one) === (which === 'ours')
  const others = listed.filter(isKept)
  return {
    ...(typeof alias === 'string' && isKept(alias) && { alias }),
    ...(others.length > 0 && { alt_aliases: others }),
  }
}

/** The tombstone, and in one commit with it all that leads elsewhere from now on. @returns what is to be durable */
async function retire(
  core: RoomsCore,
  rooms: OpenRooms,
  old: OpenRoom,
  retirement: {
    readonly userId: string
    readonly newRoom: string
    readonly tombstone: Awaited<ReturnType<typeof buildOnHead>>
  },
): Promise<readonly Promise<unknown>[]> {
  const { userId, newRoom, tombstone } = retirement
  // Held until the disk says what its place in memory says.
  const successor = await rooms.hold(newRoom)
  const release = (): void => successor?.[Symbol.dispose]()
  const rows = await core.store.home.range(aliases, { index: 'roomId', from: old.roomId, to: `${old.roomId}\u0000` })
  const moved = rows.map((row) => put(aliases, { ...row, roomId: newRoom }))
  const listing = old.isPublished && successor ? passListing(old, successor.room) : undefined
  const durable: Promise<unknown>[] = []
  try {
    const ops = [...moved, ...(listing?.ops ?? [])]
    const { durable: buried } = await proposeBuilt(core, old, tombstone.built, tombstone.before, { ops: () => ops })
    buried.catch(() => listing?.takeBack()).then(release, release)
    durable.push(buried)
  } catch (error) {
    listing?.takeBack()
    release()
    throw error
  }
  const remaining = canonicalAliasOf(core, old, 'others')
  if (remaining) durable.push(...(await ifAllowed(core, old, userId, 'm.room.canonical_alias', remaining)))
  const silent = silencedLevels(old)
  if (silent) durable.push(...(await ifAllowed(core, old, userId, 'm.room.power_levels', silent)))
  return durable
}

/** Takes the old room's place in the directory for the new one. Whoever does not commit it has to take it back. */
function passListing(
  old: OpenRoom,
  successor: OpenRoom,
): { readonly ops: readonly Op[]; readonly takeBack: () => void } {
  old.isPublished = false
  successor.isPublished = true
  const { state, joined } = successor.head
  return {
    ops: [
      put(roomIndex, old.row),
      remove(publishedRooms, old.roomId),
      put(roomIndex, successor.row),
      put(publishedRooms, publishedRow(successor.roomId, state, joined.size)),
    ],
    takeBack() {
      old.isPublished = true
      successor.isPublished = false
    },
  }
}

/** Sets state that the upgrade goes on without. */
async function ifAllowed(
  core: RoomsCore,
  old: OpenRoom,
  sender: string,
  type: string,
  content: JsonObject,
): Promise<readonly Promise<unknown>[]> {
  try {
    return [(await propose(core, old, { type, sender, stateKey: '', content })).durable]
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_FORBIDDEN') return []
    throw error
  }
}

/** Power levels by which ordinary members neither send nor invite; `undefined` where they cannot already. */
function silencedLevels(old: OpenRoom): JsonObject | undefined {
  const event = old.head.state.get('m.room.power_levels')
  if (!event) return undefined
  const { levels } = readPowerLevels(event.pdu, old.rules)
  const needed = Math.max(50, (levels.get('users_default') ?? 0) + 1)
  const raised = (['events_default', 'invite'] as const).filter((name) => (levels.get(name) ?? 0) < needed)
  if (raised.length === 0) return undefined
  return { ...event.pdu.content, ...Object.fromEntries(raised.map((name) => [name, needed])) }
}
