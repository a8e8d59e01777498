import { getPresence, setPresence } from '../../../shared/api/client/presence.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Presence } from '../../ephemeral/index.ts'
import { type Route, route } from '../../http/route.ts'

export const presenceRoutes = (presence: Presence): readonly Route[] => [
  route(setPresence, async ({ path, body, requester }) => {
    if (path.userId !== requester.userId) throw forbidden('You cannot set the presence of others')
    await presence.set(path.userId, body.presence, body.status_msg ?? null)
    return {}
  }),
  route(getPresence, async ({ path, requester }) => presence.get(requester.userId, path.userId)),
]
