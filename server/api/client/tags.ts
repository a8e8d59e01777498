import { deleteRoomTag, getRoomTags, setRoomTag } from '../../../shared/api/client/tags.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { requireOwnData } from './own-data.ts'

export const tagRoutes = ({ accountData }: Pick<Accounts, 'accountData'>): readonly Route[] => [
  route(getRoomTags, async ({ path: { userId, roomId }, requester }) => {
    requireOwnData(requester, userId)
    return { tags: await accountData.tagsOf(userId, roomId) }
  }),

  route(setRoomTag, async ({ path: { userId, roomId, tag }, body, requester }) => {
    requireOwnData(requester, userId)
    await accountData.setTag({ userId, roomId, name: tag, content: { ...body } })
    return {}
  }),

  route(deleteRoomTag, async ({ path: { userId, roomId, tag }, requester }) => {
    requireOwnData(requester, userId)
    await accountData.removeTag({ userId, roomId, name: tag })
    return {}
  }),
]
