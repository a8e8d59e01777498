import { getMutualRooms } from '../../../shared/api/client/mutual_rooms.ts'
import { invalidParam } from '../../../shared/matrix/errors.ts'
import { isCompliantUserId } from '../../../shared/matrix/identifiers.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

const ROOMS_AT_ONCE = 100
const TOKEN = /^o(\d{1,9})$/

export const mutualRoomsRoutes = (rooms: Pick<Rooms, 'sharedRooms'>): readonly Route[] => [
  route(getMutualRooms, async ({ query, requester }) => {
    if (query.user_id === requester.userId) throw invalidParam('You share all rooms with yourself')
    if (!isCompliantUserId(query.user_id)) throw invalidParam('That is not a user ID')
    const start = query.from === undefined ? 0 : Number(TOKEN.exec(query.from)?.[1] ?? Number.NaN)
    if (Number.isNaN(start)) throw invalidParam('from is not a token of this server')
    const shared = await rooms.sharedRooms(requester.userId, query.user_id)
    const end = start + ROOMS_AT_ONCE
    return {
      joined: shared.slice(start, end),
      count: shared.length,
      ...(shared.length > end && { next_batch: `o${end}` }),
    }
  }),
]
