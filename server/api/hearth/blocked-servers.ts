import { blockServer, listBlockedServers, unblockServer } from '../../../shared/api/hearth/blocked-servers.ts'
import type { BlockedServers } from '../../federation/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireAdmin } from './require-admin.ts'

export const blockedServersRoutes = (blockedServers: BlockedServers): readonly Route[] => [
  route(listBlockedServers, async ({ requester }) => {
    requireAdmin(requester)
    const servers = await blockedServers.list()
    return {
      servers: servers.map(({ pattern, reason, blockedBy, createdTs }) => ({
        pattern,
        reason,
        blocked_by: blockedBy,
        created_ts: createdTs,
      })),
    }
  }),

  route(blockServer, async ({ path, body, requester }) => {
    requireAdmin(requester)
    await blockedServers.block({ pattern: path.pattern, reason: body.reason ?? '', by: requester.userId })
    return {}
  }),

  route(unblockServer, async ({ path, requester }) => {
    requireAdmin(requester)
    await blockedServers.unblock(path.pattern)
    return {}
  }),
]
