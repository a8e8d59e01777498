import { roomInitialSync } from '../../../shared/api/client/room_initial_sync.ts'
import type { AccountsForReaders } from '../../accounts/index.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'
import { readerOf } from './rooms.ts'

export const roomInitialSyncRoutes = (
  rooms: Pick<Rooms, 'readPreview' | 'isPublished' | 'findMembership'>,
  accounts: Pick<AccountsForReaders, 'listAccountData'>,
): readonly Route[] => [
  route(roomInitialSync, async ({ path: { roomId }, requester }) => {
    const { start, end, chunk, state } = await rooms.readPreview(readerOf({ roomId }, requester))
    const membership = (await rooms.findMembership(requester.userId, roomId))?.membership
    const visibility = (await rooms.isPublished(roomId)) ? 'public' : 'private'
    const accountData = (await accounts.listAccountData(requester.userId, roomId)).map(({ type, content }) => ({
      type,
      content,
    }))
    const parts = [
      `"room_id":${JSON.stringify(roomId)}`,
      `"messages":{"start":${JSON.stringify(start)},"end":${JSON.stringify(end)},"chunk":[${chunk.join(',')}]}`,
      `"state":[${state.join(',')}]`,
      `"visibility":"${visibility}"`,
      `"account_data":${JSON.stringify(accountData)}`,
    ]
    // Knocks are younger than this endpoint.
    if (membership !== undefined && membership !== 'knock') parts.push(`"membership":"${membership}"`)
    return Reply.json(`{${parts.join(',')}}`)
  }),
]
