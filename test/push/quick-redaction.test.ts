import { describe, expect, it } from 'vitest'
import type { AccountsForReaders } from '../../server/accounts/index.ts'
import type { Receipts } from '../../server/ephemeral/index.ts'
import { joinPushRules } from '../../server/protocol/default-push-rules.ts'
import type { JsonObject } from '../../server/protocol/pdu.ts'
import { compilePushRules } from '../../server/protocol/push-rules.ts'
import { createUnread } from '../../server/push/counts.ts'
import type { PushRules } from '../../server/push/push-rules.ts'
import type { RoomView } from '../../server/rooms/index.ts'
import { startTestRooms } from '../support/test-rooms.ts'

describe('client-server-api §Receiving notifications, a redaction', () => {
  it('takes away an event that is just being counted', async () => {
    await using t = await startTestRooms()
    const { rooms } = t
    const alice = t.user('alice')
    const bob = t.user('bob')
    const none = () => () => {}
    const compiled = compilePushRules(joinPushRules({ userId: bob.userId }))
    using unread = createUnread({
      rooms,
      accounts: { onAccountData: none } as unknown as AccountsForReaders,
      receipts: {
        onChange: none,
        readUpTo: async () => ({ unthreaded: null, threads: new Map() }),
      } as unknown as Receipts,
      pushRules: { compiledFor: () => compiled } as unknown as PushRules,
      ignored: { of: () => new Set() },
    })
    const roomId = await rooms.createRoom({ creator: alice.userId, preset: 'public_chat' })
    await rooms.join({ roomId, userId: bob.userId, isGuest: false })
    const send = (body: string, more: JsonObject = {}) => {
      const content = { msgtype: 'm.text', body, ...more }
      return rooms.send({ roomId, requester: alice, txnId: body, type: 'm.room.message', content })
    }
    const first = await send('first')
    const second = await send('second', { 'm.relates_to': { rel_type: 'm.reference', event_id: first } })
    using before = await rooms.open(roomId)
    // Looking for the thread of the second takes until after its redaction.
    const asked = Promise.withResolvers<void>()
    const redacted = Promise.withResolvers<void>()
    const { latestOrder, state, members, rules } = before
    const slow = {
      roomId,
      latestOrder,
      state,
      members,
      rules,
      timeline: (range: Parameters<RoomView['timeline']>[0]) => before.timeline(range),
      async find(eventId: string) {
        asked.resolve()
        await redacted.promise
        return before.find(eventId)
      },
    } as unknown as RoomView
    const counted = unread.ofRoom(bob.userId, slow)
    await asked.promise
    await rooms.redact({ roomId, requester: alice, txnId: 'r', eventId: second, reason: undefined })
    redacted.resolve()
    await counted
    using after = await rooms.open(roomId)
    expect((await unread.ofRoom(bob.userId, after)).total.notification_count).toBe(1)
  })
})
