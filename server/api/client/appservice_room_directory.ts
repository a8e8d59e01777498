import { updateAppserviceRoomDirectoryVisibility } from '../../../shared/api/client/appservice_room_directory.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { instanceIdOf } from '../../appservices/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

export const appserviceRoomDirectoryRoutes = (rooms: Pick<Rooms, 'setNetworkListing'>): readonly Route[] => [
  route(updateAppserviceRoomDirectoryVisibility, async ({ path, body, requester }) => {
    if (!requester.appservice) throw forbidden('Only for application services')
    await rooms.setNetworkListing({
      instanceId: instanceIdOf(requester.appservice.id, path.networkId),
      roomId: path.roomId,
      isListed: body.visibility === 'public',
    })
    return {}
  }),
]
