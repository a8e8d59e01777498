import { postReceipt } from '../../../shared/api/client/receipts.ts'
import { invalidParam } from '../../../shared/matrix/errors.ts'
import type { Receipts } from '../../ephemeral/index.ts'
import { type Route, route } from '../../http/route.ts'

export const receiptRoutes = (receipts: Receipts): readonly Route[] => [
  route(postReceipt, async ({ path, body, requester }) => {
    const { roomId, receiptType: type, eventId } = path
    const { userId } = requester
    const { thread_id: threadId = null } = body
    if (body.thread_id !== undefined && (typeof threadId !== 'string' || threadId === '')) {
      throw invalidParam('thread_id must be a string that is not empty')
    }
    if (type === 'm.fully_read') {
      if (threadId !== null) throw invalidParam('A fully read marker has no thread_id')
      await receipts.setMarkers({ roomId, userId, fullyRead: eventId })
    } else await receipts.post({ roomId, userId, type, eventId, threadId: threadId as string | null })
    return {}
  }),
]
