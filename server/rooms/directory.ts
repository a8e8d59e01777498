/** The published room directory. Spec: client-server-api §Published room directory. */
import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import { put, remove } from '../store/index.ts'
import type { RoomsCore } from './core.ts'
import { listNetworkRooms } from './network-rooms.ts'
import type { OpenRooms } from './open-rooms.ts'
import { type PublicRoom, publishedRow } from './published-rooms.ts'
import { publishedRooms, roomIndex } from './store.ts'

export interface DirectoryWish {
  readonly limit: number | undefined
  /** A token of an earlier page. */
  readonly since: string | undefined
  /** Looked for in name, topic and canonical alias, in any case. */
  readonly searchTerm?: string | undefined
  /** `null` stands for rooms without a type. */
  readonly roomTypes?: readonly (string | null)[] | undefined
  /** The `instance_id` of a network of an application service; without it only Matrix's own rooms. */
  readonly networkId?: string | undefined
  /** Rooms of all networks as well as Matrix's own. */
  readonly allNetworks?: boolean | undefined
  /** Asked for by another server: rooms that are not federated are left out. */
  readonly isForServer?: boolean
}

export interface DirectoryPage {
  readonly chunk: readonly PublicRoom[]
  readonly next_batch?: string
  readonly prev_batch?: string
  readonly total_room_count_estimate: number
}

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 500
/** How many rooms a page has at most. */
export const limitOf = ({ limit }: Pick<DirectoryWish, 'limit'>): number =>
  Math.min(Math.max(limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
const TOKEN = /^o(\d{1,9})$/

/**
 * Published rooms, those with the most joined members first.
 * @throws MatrixError 400 M_INVALID_PARAM for a token that is none of ours
 */
export async function listPublished(core: RoomsCore, rooms: OpenRooms, wish: DirectoryWish): Promise<DirectoryPage> {
  const start = wish.since === undefined ? 0 : Number(TOKEN.exec(wish.since)?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw invalidParam('since is not a token of this server')
  const limit = limitOf(wish)
  const hasNetworks = wish.networkId !== undefined || wish.allNetworks === true
  const isFiltered =
    wish.isForServer === true || hasNetworks || (wish.searchTerm ?? '') !== '' || wish.roomTypes !== undefined
  const ofNetworks = hasNetworks ? await listNetworkRooms(core, rooms, wish) : []
  const rows =
    wish.networkId === undefined
      ? await core.store.home.range(publishedRooms, {
          index: 'rank',
          ...(!isFiltered && { limit: start + limit + 1 }),
        })
      : []
  const shown = wish.isForServer === true ? rows.filter(({ isClosedToServers }) => !isClosedToServers) : rows
  const ours = shown.map(({ summary }) => JSON.parse(summary) as PublicRoom)
  const known = new Set(ours.map(({ room_id }) => room_id))
  const listed = [...ours, ...ofNetworks.filter(({ room_id }) => !known.has(room_id))]
  const wanted = isFiltered ? listed.filter((room) => isWanted(room, wish)) : listed
  const end = start + limit
  return {
    chunk: wanted.slice(start, end),
    ...(wanted.length > end && { next_batch: `o${end}` }),
    ...(start > 0 && { prev_batch: `o${Math.max(0, start - limit)}` }),
    total_room_count_estimate: isFiltered ? wanted.length : await core.store.home.count(publishedRooms),
  }
}

function isWanted(room: PublicRoom, { searchTerm = '', roomTypes }: DirectoryWish): boolean {
  if (roomTypes !== undefined && !roomTypes.includes(room.room_type ?? null)) return false
  if (searchTerm === '') return true
  const term = searchTerm.toLowerCase()
  return [room.name, room.topic, room.canonical_alias].some((text = '') => text.toLowerCase().includes(term))
}

/** @throws MatrixError 404 M_NOT_FOUND */
export async function isPublished(core: RoomsCore, roomId: string): Promise<boolean> {
  const row = await core.store.home.get(roomIndex, roomId)
  if (!row) throw notFound('This server does not know the room')
  return row.isPublished
}

/**
 * Puts a room into the directory or takes it out. For administrators, and for those who may set the room's canonical alias.
 * @throws MatrixError 404 M_NOT_FOUND, 403 M_FORBIDDEN
 */
export async function setPublished(
  core: RoomsCore,
  rooms: OpenRooms,
  setting: {
    readonly roomId: string
    readonly userId: string
    readonly isAdmin: boolean
    readonly isPublished: boolean
  },
): Promise<void> {
  const { roomId, userId, isAdmin, isPublished } = setting
  await rooms.use(roomId, (room) =>
    room.enter(async () => {
      await room.flushed()
      const { state, joined } = room.visible
      const powers = roomStateOf((type, stateKey) => state.get(type, stateKey), room.rules)
      const mayPublish =
        joined.has(userId) && powers.power(userId) >= powers.powerToSend('m.room.canonical_alias', true)
      if (!isAdmin && !mayPublish) throw forbidden('You have too little power to change whether the room is listed')
      if (room.isPublished === isPublished) return
      await core.store.commit(() => [
        put(roomIndex, { ...room.row, isPublished }),
        isPublished ? put(publishedRooms, publishedRow(roomId, state, joined.size)) : remove(publishedRooms, roomId),
      ])
      room.isPublished = isPublished
    }),
  )
}
