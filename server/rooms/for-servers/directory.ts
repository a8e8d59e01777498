import { notFound } from '../../../shared/matrix/errors.ts'
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { findOrAsk } from '../aliases.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'

/** Servers that are named as being in a room; who wants to join tries few. */
const MAX_SERVERS = 50

/**
 * The room of an alias of this server, and servers that are in it, those with the most members first.
 * Spec: data/api/server-server/query.yaml, `queryRoomDirectory`.
 *
 * @throws MatrixError 404 M_NOT_FOUND, for aliases of other servers, too; 408 where an application service had to be asked and
 *   did not answer
 */
export async function queryAlias(
  core: RoomsCore,
  rooms: OpenRooms,
  alias: string,
): Promise<{ readonly roomId: string; readonly servers: readonly string[] }> {
  const { serverName } = core.environment
  const roomId = serverNameOf(alias) === serverName ? await findOrAsk(core, alias) : undefined
  if (roomId === undefined) throw notFound('There is no such alias')
  using held = await rooms.hold(roomId)
  const counts = held ? [...held.room.visible.servers] : []
  const byMembers = counts.sort(([, a], [, b]) => b - a).map(([server]) => server)
  // Who gave the alias away can help best.
  const others = byMembers.filter((server) => server !== serverName)
  const servers = others.length < byMembers.length ? [serverName, ...others] : others
  return { roomId, servers: servers.slice(0, MAX_SERVERS) }
}
