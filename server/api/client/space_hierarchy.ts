import { getSpaceHierarchy } from '../../../shared/api/client/space_hierarchy.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const spaceHierarchyRoutes = (rooms: Pick<Rooms, 'readHierarchy'>): readonly Route[] => [
  route(getSpaceHierarchy, async ({ path, query, requester }) => {
    const page = await rooms.readHierarchy({
      roomId: path.roomId,
      userId: requester.userId,
      suggestedOnly: query.suggested_only ?? false,
      maxDepth: query.max_depth,
      limit: query.limit,
      from: query.from,
    })
    return Reply.json(JSON.stringify({ rooms: page.rooms, next_batch: page.nextBatch }))
  }),
]
