import { setReadMarker } from '../../../shared/api/client/read_markers.ts'
import type { Receipts } from '../../ephemeral/index.ts'
import { type Route, route } from '../../http/route.ts'

export const readMarkerRoutes = (receipts: Receipts): readonly Route[] => [
  route(setReadMarker, async ({ path, body, requester }) => {
    await receipts.setMarkers({
      roomId: path.roomId,
      userId: requester.userId,
      fullyRead: body['m.fully_read'],
      read: body['m.read'],
      readPrivate: body['m.read.private'],
    })
    return {}
  }),
]
