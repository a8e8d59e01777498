/** Finding what was said in rooms. Spec: data/api/client-server/search.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { endpoint } from '../endpoint.ts'
import { ClientEvent } from './client-event.ts'
import { RoomEventFilter } from './filter.ts'

const Context = Type.Object({
  start: Type.Optional(Type.String()),
  end: Type.Optional(Type.String()),
  profile_info: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({ displayname: Type.Optional(Type.String()), avatar_url: Type.Optional(Type.String()) }),
    ),
  ),
  events_before: Type.Optional(Type.Array(ClientEvent)),
  events_after: Type.Optional(Type.Array(ClientEvent)),
})

const Group = Type.Object({
  next_batch: Type.Optional(Type.String()),
  order: Type.Optional(Type.Integer()),
  results: Type.Optional(Type.Array(Type.String())),
})

export const search = endpoint({
  operationId: 'search',
  method: 'POST',
  url: '/_matrix/client/v3/search',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({ next_batch: Type.Optional(Type.String()) }),
  body: Type.Object({
    search_categories: Type.Object({
      room_events: Type.Optional(
        Type.Object({
          search_term: Type.String(),
          keys: Type.Optional(
            Type.Array(
              Type.Union([Type.Literal('content.body'), Type.Literal('content.name'), Type.Literal('content.topic')]),
            ),
          ),
          filter: Type.Optional(RoomEventFilter),
          order_by: Type.Optional(Type.Union([Type.Literal('recent'), Type.Literal('rank')])),
          event_context: Type.Optional(
            Type.Object({
              before_limit: Type.Optional(Type.Integer({ minimum: 0 })),
              after_limit: Type.Optional(Type.Integer({ minimum: 0 })),
              include_profile: Type.Optional(Type.Boolean()),
            }),
          ),
          include_state: Type.Optional(Type.Boolean()),
          groupings: Type.Optional(
            Type.Object({
              group_by: Type.Optional(
                Type.Array(
                  Type.Object({ key: Type.Optional(Type.Union([Type.Literal('room_id'), Type.Literal('sender')])) }),
                ),
              ),
            }),
          ),
        }),
      ),
    }),
  }),
  reply: Type.Object({
    search_categories: Type.Object({
      room_events: Type.Optional(
        Type.Object({
          count: Type.Optional(Type.Integer()),
          highlights: Type.Optional(Type.Array(Type.String())),
          results: Type.Optional(
            Type.Array(
              Type.Object({
                rank: Type.Optional(Type.Number()),
                result: Type.Optional(ClientEvent),
                context: Type.Optional(Context),
              }),
            ),
          ),
          state: Type.Optional(Type.Record(Type.String(), Type.Array(AnyObject))),
          groups: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Group))),
          next_batch: Type.Optional(Type.String()),
        }),
      ),
    }),
  }),
  errors: { M_INVALID_PARAM: 400 },
})
