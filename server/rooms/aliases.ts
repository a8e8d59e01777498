/** Room aliases of this server. Spec: client-server-api §Room aliases. */
import { forbidden, invalidParam, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { isRoomAlias, isRoomId, serverNameOf } from '../../shared/matrix/identifiers.ts'
import { type Peers, RemoteRefusal } from '../federation/index.ts'
import { RemoteError } from '../net/index.ts'
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import { forClient } from './elsewhere/servers.ts'
import type { OpenRooms } from './open-rooms.ts'
import { propose } from './propose.ts'
import { aliases } from './store.ts'
import { historyVisibilityIn } from './visibility.ts'

/** Of the servers that are said to be in a room so many are remembered. */
const MAX_SERVERS_OF_ALIAS = 50
/** One room may have so many local aliases. */
const MAX_ALIASES_PER_ROOM = 200

/**
 * The alias of this server with a local part that a client chose.
 * @throws MatrixError 400 M_INVALID_PARAM
 */
export function newAlias(core: RoomsCore, localpart: string): string {
  const alias = `#${localpart}:${core.environment.serverName}`
  // Those who read an alias aloud or copy it must not lose a part of it.
  if (localpart === '' || /[\s:]/.test(localpart) || !isRoomAlias(alias)) {
    throw invalidParam('The name is not fit for a room alias')
  }
  return alias
}

/**
 * Runs work while nobody else can take the alias.
 * @param takenStatus the status of M_ROOM_IN_USE where somebody has it: the endpoints differ
 */
export function withFreeAlias<T>(
  core: RoomsCore,
  alias: string,
  takenStatus: 400 | 409,
  work: () => Promise<T>,
): Promise<T> {
  return core.store.exclusive(`rooms alias ${alias}`, async () => {
    if (await core.store.home.get(aliases, alias)) {
      throw new MatrixError('M_ROOM_IN_USE', takenStatus, `The alias ${alias} is taken`)
    }
    return work()
  })
}

/** The room that an alias leads to, and servers that are in it. Of our own aliases only. */
export async function findAlias(core: RoomsCore, alias: string): Promise<string | undefined> {
  return (await core.store.home.get(aliases, alias))?.roomId
}

/**
 * The room that a request names by its ID or an alias.
 * @throws MatrixError as `locateRoom`
 */
export async function resolveRoom(core: RoomsCore, roomIdOrAlias: string): Promise<string> {
  return (await locateRoom(core, roomIdOrAlias)).roomId
}

/**
 * The room that a request names by its ID or an alias, and of an alias of another server, servers that are in it.
 * @throws MatrixError 404 M_NOT_FOUND for an alias that leads nowhere, 502 where its server cannot be reached
 */
export async function locateRoom(
  core: RoomsCore,
  roomIdOrAlias: string,
): Promise<{ readonly roomId: string; readonly servers: readonly string[] }> {
  if (!roomIdOrAlias.startsWith('#')) return { roomId: roomIdOrAlias, servers: [] }
  const server = serverNameOf(roomIdOrAlias)
  if (server !== core.environment.serverName) {
    const found = await askForAlias(core, roomIdOrAlias)
    if (!found || !isRoomId(found.roomId)) throw notFound('The alias leads to no room')
    return { roomId: found.roomId, servers: [server, ...found.servers.slice(0, MAX_SERVERS_OF_ALIAS)] }
  }
  const roomId = await findOrAsk(core, roomIdOrAlias)
  if (roomId === undefined) throw notFound('The alias leads to no room')
  return { roomId, servers: [] }
}

async function askForAlias(core: RoomsCore, alias: string): ReturnType<Peers['resolveAlias']> {
  try {
    return await core.peers?.resolveAlias(alias)
  } catch (error) {
    if (error instanceof RemoteError || error instanceof RemoteRefusal) throw forClient(error)
    throw error
  }
}

/** The room of an alias of ours, which an application service may make when it is asked for. Spec: application-service-api §Querying. */
export async function findOrAsk(core: RoomsCore, alias: string): Promise<string | undefined> {
  const known = await findAlias(core, alias)
  if (known !== undefined || !core.claims) return known
  await core.claims.askForAlias(alias)
  return findAlias(core, alias)
}

/**
 * Gives a room a further alias. Whoever is in the room may do so.
 * @param adding.appserviceId the application service that acts as the user, if one does
 * @throws MatrixError 409 M_ROOM_IN_USE, 400 M_EXCLUSIVE, M_INVALID_PARAM for an alias of another server, 403, 404
 */
export async function addAlias(
  core: RoomsCore,
  rooms: OpenRooms,
  adding: {
    readonly alias: string
    readonly roomId: string
    readonly userId: string
    readonly appserviceId?: string | undefined
  },
): Promise<void> {
  const { alias, roomId, userId, appserviceId = null } = adding
  if (serverNameOf(alias) !== core.environment.serverName) throw invalidParam('That is not an alias of this server')
  newAlias(core, alias.slice(1, alias.indexOf(':')))
  core.claims?.requireMayUseAlias(alias, appserviceId)
  await rooms.use(roomId, async (room) => {
    if (!room.visible.joined.has(userId)) throw forbidden('You are not in this room')
    await withFreeAlias(core, alias, 409, async () => {
      if ((await listAliases(core, roomId)).length >= MAX_ALIASES_PER_ROOM) {
        throw forbidden(`A room has at most ${MAX_ALIASES_PER_ROOM} aliases`)
      }
      await core.store.commit(() => [put(aliases, { alias, roomId, creator: userId })])
    })
  })
}

/**
 * Takes an alias away, and out of the room's canonical alias where the user may change that.
 * Allowed to who made it, to administrators, to those who may set the room's canonical alias, and to the application service
 * that has it in a namespace.
 *
 * @throws MatrixError 404 M_NOT_FOUND, 403 M_FORBIDDEN, 400 M_EXCLUSIVE
 */
export async function removeAlias(
  core: RoomsCore,
  rooms: OpenRooms,
  removing: {
    readonly alias: string
    readonly userId: string
    readonly isAdmin: boolean
    readonly appserviceId?: string | undefined
  },
): Promise<void> {
  const { alias, userId, isAdmin, appserviceId = null } = removing
  if (!isAdmin) core.claims?.requireMayUseAlias(alias, appserviceId)
  const roomId = await core.store.exclusive(`rooms alias ${alias}`, async () => {
    const row = await core.store.home.get(aliases, alias)
    if (!row) throw notFound('The alias leads to no room')
    const isOwner = isAdmin || row.creator === userId || appserviceId !== null
    const mayRemove = isOwner || (await maySetCanonicalAlias(rooms, row.roomId, userId))
    if (!mayRemove) throw forbidden('You may not take this alias away')
    await core.store.commit(() => [remove(aliases, alias)])
    return row.roomId
  })
  if (await maySetCanonicalAlias(rooms, roomId, userId)) await withdraw(core, rooms, roomId, alias, userId)
}

async function maySetCanonicalAlias(rooms: OpenRooms, roomId: string, userId: string): Promise<boolean> {
  return rooms.use(roomId, ({ visible, rules }) => {
    if (!visible.joined.has(userId)) return false
    const powers = roomStateOf((type, stateKey) => visible.state.get(type, stateKey), rules)
    return powers.power(userId) >= powers.powerToSend('m.room.canonical_alias', true)
  })
}

/** Takes an alias that is gone out of the room's canonical alias event. */
async function withdraw(
  core: RoomsCore,
  rooms: OpenRooms,
  roomId: string,
  gone: string,
  userId: string,
): Promise<void> {
  await rooms.use(roomId, async (room) => {
    const proposed = await room.enter(async () => {
      const content = room.head.state.get('m.room.canonical_alias')?.pdu.content
      if (!content) return undefined
      const { alias, alt_aliases: others, ...rest } = content
      const isListed = Array.isArray(others) && others.includes(gone)
      if (alias !== gone && !isListed) return undefined
      const changed: JsonObject = {
        ...rest,
        ...(alias !== undefined && alias !== gone && { alias }),
        ...(Array.isArray(others) && { alt_aliases: others.filter((other) => other !== gone) }),
      }
      const wish = { type: 'm.room.canonical_alias', sender: userId, stateKey: '', content: changed }
      try {
        return await propose(core, room, wish)
      } catch (error) {
        // The alias is gone; that the user has lost the power to say so meanwhile is no failure of the request.
        if (error instanceof MatrixError && error.errcode === 'M_FORBIDDEN') return undefined
        throw error
      }
    })
    await proposed?.durable
  })
}

/** The aliases of this server that lead to the room, in the order of the alphabet. */
export async function listAliases(core: RoomsCore, roomId: string): Promise<readonly string[]> {
  const rows = await core.store.home.range(aliases, { index: 'roomId', from: roomId, to: `${roomId}\u0000` })
  return rows.map(({ alias }) => alias)
}

/** As `listAliases`, for a client. @throws MatrixError 403 M_FORBIDDEN for those outside of a room that is not world-readable */
export async function listAliasesFor(
  core: RoomsCore,
  rooms: OpenRooms,
  roomId: string,
  userId: string,
): Promise<readonly string[]> {
  return rooms.use(roomId, async (room) => {
    const visibility = historyVisibilityIn(room.visible.state.get('m.room.history_visibility'))
    if (!room.visible.joined.has(userId) && visibility !== 'world_readable') throw forbidden('You are not in this room')
    return listAliases(core, roomId)
  })
}
