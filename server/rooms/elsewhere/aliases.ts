/** Aliases of other servers in a room's `m.room.canonical_alias`. Spec: client-server-api §m.room.canonical_alias. */
import { forbidden, invalidParam } from '../../../shared/matrix/errors.ts'
import { isRoomAlias, serverNameOf } from '../../../shared/matrix/identifiers.ts'
import { roomStateOf } from '../../protocol/auth-rules/index.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { forClient, isRemoteFailure } from './servers.ts'

/** A request may have so many servers asked. */
const MAX_ASKED = 20

/** All that the content of a canonical alias lists. */
export function listedAliases(content: JsonObject): readonly string[] {
  const { alias, alt_aliases: others } = content
  const listed = Array.isArray(others) ? others.filter((other) => typeof other === 'string') : []
  if (typeof alias === 'string' && alias !== '') listed.push(alias)
  return listed
}

/**
 * Asks other servers about their aliases that somebody wants to add to a room. Before the room's line is entered, so that a
 * server that hangs holds up nobody; and for none but those who may add them.
 *
 * @returns those that lead to the room
 * @throws MatrixError 403 M_FORBIDDEN, 400 M_INVALID_PARAM for more than 20 new ones, 502 where a server cannot be reached
 */
export async function aliasesLeadingHere(
  core: RoomsCore,
  room: OpenRoom,
  sender: string,
  content: JsonObject,
): Promise<ReadonlySet<string>> {
  const { state, joined } = room.visible
  const before = new Set(listedAliases(state.get('m.room.canonical_alias')?.pdu.content ?? {}))
  const isAsked = (alias: string): boolean =>
    !before.has(alias) && isRoomAlias(alias) && serverNameOf(alias) !== core.environment.serverName
  const asked = [...new Set(listedAliases(content))].filter(isAsked)
  if (asked.length === 0) return new Set()
  const powers = roomStateOf((type, stateKey) => state.get(type, stateKey), room.rules)
  if (!joined.has(sender) || powers.power(sender) < powers.powerToSend('m.room.canonical_alias', true)) {
    throw forbidden("You have too little power to change the room's aliases")
  }
  if (asked.length > MAX_ASKED) throw invalidParam(`There are more than ${MAX_ASKED} new aliases of other servers`)
  const found = await Promise.all(
    asked.map(async (alias) => {
      try {
        return (await core.peers?.resolveAlias(alias))?.roomId === room.roomId ? alias : undefined
      } catch (error) {
        throw isRemoteFailure(error) ? forClient(error) : error
      }
    }),
  )
  return new Set(found.filter((alias) => alias !== undefined))
}
