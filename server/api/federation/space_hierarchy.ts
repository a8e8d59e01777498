import { getSpaceHierarchy } from '../../../shared/api/federation/space_hierarchy.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { ForServers } from '../../rooms/index.ts'

export const spaceHierarchyRoutes = (rooms: Pick<ForServers, 'readHierarchy'>): readonly Route[] => [
  route(getSpaceHierarchy, async ({ path, query, requester }) => {
    const suggestedOnly = query.suggested_only ?? false
    const found = await rooms.readHierarchy({ server: requester.serverName, ...path, suggestedOnly })
    return Reply.json(JSON.stringify(found))
  }),
]
