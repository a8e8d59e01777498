import { search } from '../../../shared/api/client/search.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Search } from '../../search/index.ts'
import { EventMatcher } from '../../sync/index.ts'

const DEFAULT_CONTEXT = 5

export const searchRoutes = (rooms: Pick<Search, 'find'>): readonly Route[] => [
  route(search, async ({ query, body, requester }) => {
    const { room_events: wish } = body.search_categories
    if (!wish) return Reply.json('{"search_categories":{}}')
    const { event_context: context } = wish
    return Reply.json(
      await rooms.find({
        userId: requester.userId,
        deviceId: requester.deviceId,
        term: wish.search_term,
        keys: wish.keys,
        orderBy: wish.order_by ?? 'rank',
        filter: new EventMatcher(wish.filter),
        context: context && {
          before: context.before_limit ?? DEFAULT_CONTEXT,
          after: context.after_limit ?? DEFAULT_CONTEXT,
          includeProfile: context.include_profile === true,
        },
        includeState: wish.include_state === true,
        groupBy: (wish.groupings?.group_by ?? []).flatMap(({ key }) => key ?? []),
        nextBatch: query.next_batch,
      }),
    )
  }),
]
