/**
 * What other servers say of their users' typing, receipts and presence.
 * Spec: server-server-api §Typing Notifications, §Presence, §Receipts. Whatever does not fit is ignored: EDUs are never refused.
 */
import { isUserId, serverNameOf } from '../../shared/matrix/identifiers.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { Presence } from './presence.ts'
import type { Receipts } from './receipts.ts'
import type { Typing } from './typing.ts'

/** So many receipts, or users' presences, of one EDU are looked at. */
const MAX_IN_EDU = 500

export interface EphemeralEdus {
  /**
   * @param origin the server that sent it; it may only speak of its own users
   * @returns whether this type of EDU is one of ephemeral's
   */
  receive(origin: string, eduType: string, content: JsonObject): Promise<boolean>
}

export function ephemeralEdus(typing: Typing, receipts: Receipts, presence: Presence): EphemeralEdus {
  const isOf = (userId: Json | undefined, origin: string): userId is string =>
    typeof userId === 'string' && isUserId(userId) && serverNameOf(userId) === origin

  async function receiveReceipts(origin: string, content: JsonObject): Promise<void> {
    let left = MAX_IN_EDU
    const works: Promise<void>[] = []
    for (const [roomId, byType] of Object.entries(content)) {
      const byUser = isJsonObject(byType) ? ownValue(byType, 'm.read') : undefined
      if (!isJsonObject(byUser)) continue
      for (const [userId, receipt] of Object.entries(byUser)) {
        if (!isOf(userId, origin) || !isJsonObject(receipt)) continue
        left -= 1
        if (left < 0) break
        const eventIds = ownValue(receipt, 'event_ids')
        const eventId = Array.isArray(eventIds) ? (eventIds.at(-1) as Json | undefined) : undefined
        const data = ownValue(receipt, 'data')
        const ts = isJsonObject(data) ? ownValue(data, 'ts') : undefined
        const threadId = isJsonObject(data) ? (ownValue(data, 'thread_id') ?? null) : null
        if (typeof eventId !== 'string' || typeof ts !== 'number' || !Number.isSafeInteger(ts)) continue
        if (threadId !== null && typeof threadId !== 'string') continue
        works.push(receipts.receive({ roomId, userId, eventId, threadId, ts }))
      }
    }
    await Promise.all(works)
  }

  function receivePresence(origin: string, content: JsonObject): void {
    const push = ownValue(content, 'push')
    if (!Array.isArray(push)) return
    for (const update of push.slice(0, MAX_IN_EDU) as readonly Json[]) {
      if (!isJsonObject(update)) continue
      const { user_id, presence: state, last_active_ago, status_msg, currently_active } = update
      if (!isOf(user_id, origin)) continue
      if (state !== 'online' && state !== 'unavailable' && state !== 'offline') continue
      presence.receive(user_id, {
        presence: state,
        ...(typeof last_active_ago === 'number' && last_active_ago >= 0 && { last_active_ago }),
        ...(typeof status_msg === 'string' && { status_msg }),
        currently_active: currently_active === true,
      })
    }
  }

  return {
    async receive(origin, eduType, content) {
      if (eduType === 'm.typing') {
        const { room_id, user_id, typing: isTyping } = content
        if (typeof room_id === 'string' && typeof isTyping === 'boolean' && isOf(user_id, origin)) {
          await typing.receive({ roomId: room_id, userId: user_id, typing: isTyping })
        }
        return true
      }
      if (eduType === 'm.receipt') {
        await receiveReceipts(origin, content)
        return true
      }
      if (eduType === 'm.presence') {
        receivePresence(origin, content)
        return true
      }
      return false
    },
  }
}
