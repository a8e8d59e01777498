/**
 * The list of what a user was notified of, newest first. Spec: client-server-api §Listing Notifications.
 *
 * Nothing is kept for it: rooms are read backward and judged by the user's rules as they are now, so whoever never asks costs
 * nothing. A request looks at a bounded number of events, and says where the next one goes on.
 */
import { invalidParam } from '../../shared/matrix/errors.ts'
import type { RoomsForReaders, RoomView } from '../rooms/index.ts'
import type { Unread } from './counts.ts'
import type { IgnoredUsers } from './ignored-users.ts'
import { type FoundNotification, NotificationSource, type PageStart } from './notification-source.ts'
import type { PushRules } from './push-rules.ts'

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100
/** So many events are looked at in one request, or a few more. */
const MAX_LOOKED_AT = 2_000

export interface NotificationsWish {
  readonly userId: string
  readonly deviceId: string | null
  readonly from?: string | undefined
  readonly limit?: number | undefined
  readonly only?: string | undefined
}

export interface Notifications {
  /** @returns the reply as JSON text. @throws MatrixError 400 M_INVALID_PARAM for a token that is none */
  list(wish: NotificationsWish): Promise<string>
}

export function createNotifications(deps: {
  readonly rooms: RoomsForReaders
  readonly unread: Unread
  readonly rules: PushRules
  readonly ignored: IgnoredUsers
}): Notifications {
  const { rooms, rules, ignored } = deps

  async function render(found: FoundNotification, { userId, deviceId }: NotificationsWish): Promise<string> {
    const { event, outcome, isRead } = found
    using view: RoomView = await rooms.open(event.roomId)
    const eventText = await view.render(event, { userId, deviceId, withRoomId: false })
    const { origin_server_ts: ts } = event.pdu
    const facts = { actions: outcome.actions, read: isRead, room_id: event.roomId, ts }
    return `${JSON.stringify(facts).slice(0, -1)},"event":${eventText}}`
  }

  return {
    async list(wish) {
      const { userId, from, limit, only } = wish
      const start = from === undefined ? undefined : readToken(from)
      const wanted = Math.min(Math.max(limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
      const judging = { userId, rules: await rules.compiledFor(userId), hidden: await ignored.of(userId) }
      let sources: NotificationSource[] = []
      for (const entry of (await rooms.memberships(userId)).values()) {
        if (entry.membership === 'join' || entry.membership === 'invite') {
          sources.push(new NotificationSource(deps, judging, entry, start))
        }
      }
      const texts: string[] = []
      let lookedAt = 0
      for (;;) {
        sources = sources.filter((source) => !source.isAtEnd)
        const newest = sources.reduce<NotificationSource | undefined>(
          (best, each) => (best === undefined || comesBefore(each, best) ? each : best),
          undefined,
        )
        const isFull = texts.length >= wanted || lookedAt >= MAX_LOOKED_AT
        if (!newest || isFull) return replyText(texts, newest)
        if (newest.hasLoaded) {
          const found = newest.take()
          if (only !== 'highlight' || found.outcome.highlight) texts.push(await render(found, wish))
        } else lookedAt += await newest.load()
      }
    },
  }
}

function comesBefore(one: NotificationSource, other: NotificationSource): boolean {
  return one.position > other.position || (one.position === other.position && one.roomId < other.roomId)
}

function replyText(texts: readonly string[], next: NotificationSource | undefined): string {
  const token = next && `,"next_token":${JSON.stringify(tokenText(next))}`
  return `{"notifications":[${texts.join(',')}]${token ?? ''}}`
}

const tokenText = ({ position, roomId, before }: PageStart): string =>
  `n${position}_${before}_${Buffer.from(roomId).toString('base64url')}`

function readToken(text: string): PageStart {
  const [, position, before, room] = /^n(\d{1,15})_(-?\d{1,16})_([\w-]{1,400})$/.exec(text) ?? []
  if (position === undefined || before === undefined || room === undefined)
    throw invalidParam('from is no token of ours')
  return { position: Number(position), before: Number(before), roomId: Buffer.from(room, 'base64url').toString() }
}
