import { isIpv4Literal, isIpv6Literal, parseServerName } from '../../shared/matrix/identifiers.ts'
import { compileGlob } from '../protocol/glob.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'

/** Whether a room's `m.room.server_acl` lets a server take part. Spec: client-server-api §m.room.server_acl. */
export function isServerAllowed(serverName: string, acl: JsonObject): boolean {
  // The port does not count, and names are not told apart by case.
  const host = (parseServerName(serverName)?.hostname ?? serverName).toLowerCase()
  if (acl.allow_ip_literals === false && (isIpv4Literal(host) || isIpv6Literal(host))) return false
  if (matchesAny(host, acl.deny)) return false
  return matchesAny(host, acl.allow)
}

function matchesAny(host: string, globs: Json | undefined): boolean {
  if (!Array.isArray(globs)) return false
  return globs.some((glob) => typeof glob === 'string' && compileGlob(glob.toLowerCase()).matches(host))
}
