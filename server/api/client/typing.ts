import { setTyping } from '../../../shared/api/client/typing.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import type { Typing } from '../../ephemeral/index.ts'
import { type Route, route } from '../../http/route.ts'

export const typingRoutes = (typing: Typing): readonly Route[] => [
  route(setTyping, async ({ path, body, requester }) => {
    if (path.userId !== requester.userId) throw forbidden('You cannot type for others')
    await typing.set({ roomId: path.roomId, userId: path.userId, typing: body.typing, timeoutMs: body.timeout })
    return {}
  }),
]
