import { upgradeRoom } from '../../../shared/api/client/room_upgrades.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const roomUpgradesRoutes = (rooms: Pick<Rooms, 'upgradeRoom'>): readonly Route[] => [
  route(upgradeRoom, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    return {
      replacement_room: await rooms.upgradeRoom({
        roomId: path.roomId,
        userId: requester.userId,
        version: body.new_version,
        additionalCreators: body.additional_creators,
      }),
    }
  }),
]
