/** Which servers are asked about a room that this one is not in, in which order, and what comes of their refusals. */
import { MatrixError, notFound } from '../../../shared/matrix/errors.ts'
import { isServerName, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { type Peers, RemoteRefusal } from '../../federation/index.ts'
import { RemoteError } from '../../net/index.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { outsideRooms } from './store.ts'

/** No more servers than these are tried for one request of a user. */
const MAX_CANDIDATES = 12
/** No further server is tried after so long: the client has a time-out, too. */
const MAX_TRYING_MS = 60_000
/** So many servers may say that the user is not welcome: one may not have heard of an invite yet. */
const MAX_DENIALS = 3
/** Of another server's words so many characters are shown. */
const MAX_WORDS = 300

/**
 * Servers that may help a user into a room, or out of it: those that the client or an alias names, that of who invited them,
 * that which knew of the room last, those that were in the room when we last saw it, and the one in the room's ID.
 *
 * @param wish.room the room as far as we know it
 * @returns without ourselves, without repetition, the most promising first
 */
export async function candidatesFor(
  core: RoomsCore,
  wish: {
    readonly roomId: string
    readonly userId: string
    readonly via: readonly string[]
    readonly room?: OpenRoom | undefined
  },
): Promise<readonly string[]> {
  const { roomId, userId, via, room } = wish
  const row = await core.memberships.find(userId, roomId)
  const isAsked = row?.membership === 'invite' || row?.membership === 'knock'
  const outside = await core.store.home.get(outsideRooms, roomId)
  const named = [
    ...via,
    ...(isAsked ? [serverNameOf(row.sender)] : []),
    ...(outside ? [outside.via] : []),
    ...(room?.head.servers.keys() ?? []),
    serverNameOf(roomId),
  ]
  const candidates = new Set<string>()
  for (const name of named) {
    if (name !== core.environment.serverName && isServerName(name)) candidates.add(name)
    if (candidates.size === MAX_CANDIDATES) break
  }
  return [...candidates]
}

/** An answer that does not fit what was asked: whoever gave it is not to be trusted with this. */
export const badAnswer = (server: string, why: string): RemoteError => new RemoteError(server, 'badAnswer', why)

/** Whether a failure is one of the other server, so that another one may do better. */
export const isRemoteFailure = (error: unknown): error is RemoteError | RemoteRefusal =>
  error instanceof RemoteError || error instanceof RemoteRefusal

/**
 * Tries servers one after the other until the work succeeds with one.
 * @throws MatrixError what the client is to know where it succeeds with none
 */
export async function tryServers<T>(
  core: RoomsCore,
  servers: readonly string[],
  work: (server: string, peers: Peers) => Promise<T>,
): Promise<T> {
  const { environment, peers } = core
  if (!peers || servers.length === 0) throw notFound('This server does not know the room, nor a server that is in it')
  const { clock, logger } = environment
  const startTs = clock.now()
  const failures: (RemoteError | RemoteRefusal)[] = []
  let denials = 0
  for (const server of servers) {
    try {
      return await work(server, peers)
    } catch (error) {
      if (!isRemoteFailure(error)) throw error
      logger.info({ event: 'rooms.elsewhere.failed', server, why: error.message })
      failures.push(error)
      if (error instanceof RemoteRefusal && error.status === 403) denials += 1
      if (denials === MAX_DENIALS || clock.now() - startTs > MAX_TRYING_MS) break
    }
  }
  throw worstOf(failures)
}

/** What says most to a user: that they are not welcome, then why it does not work, then that nobody could be reached. */
function worstOf(failures: readonly (RemoteError | RemoteRefusal)[]): MatrixError {
  const shown = failures.map((failure) => forClient(failure))
  return (
    shown.find(({ status }) => status === 403) ??
    shown.find(({ status }) => status === 400) ??
    shown.find(({ status }) => status === 429) ??
    (shown.every(({ status }) => status === 404) ? shown[0] : undefined) ??
    shown.find(({ status }) => status === 502) ??
    new MatrixError('M_UNKNOWN', 502, 'No server that is in the room could be reached')
  )
}

/** Errors about requests that we made wrongly, or that a server has nothing to say to; the user can do nothing about them. */
const NOT_THE_USERS: ReadonlySet<string> = new Set([
  'M_MISSING_PARAM',
  'M_INVALID_PARAM',
  'M_BAD_JSON',
  'M_NOT_JSON',
  'M_UNRECOGNIZED',
  'M_UNKNOWN',
])

/**
 * A failure of another server as the user whose request led there is told of it. Spec: server-server-api, the 400 and 403
 * answers of make_join, send_join, make_knock, send_knock and invite.
 */
export function forClient(failure: RemoteError | RemoteRefusal): MatrixError {
  if (failure instanceof RemoteError) {
    return failure.failure === 'badAnswer'
      ? new MatrixError('M_UNKNOWN', 502, 'The other server gave an answer that makes no sense')
      : new MatrixError('M_UNKNOWN', 502, 'The other server could not be reached')
  }
  const { status, errcode, error, body } = failure
  const isShown = status === 403 || status === 404 || (status === 400 && !NOT_THE_USERS.has(errcode))
  if (!isShown) {
    return status === 429
      ? new MatrixError('M_LIMIT_EXCEEDED', 429, 'The other server has too much to do. Try again later')
      : new MatrixError('M_UNKNOWN', 502, 'The other server could not do it')
  }
  const words = error.slice(0, MAX_WORDS) || 'The other server refused'
  const { room_version: version } = body
  return new MatrixError(errcode, status, words, {
    ...(errcode === 'M_INCOMPATIBLE_ROOM_VERSION' && typeof version === 'string' && { room_version: version }),
  })
}
