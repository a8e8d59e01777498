/**
 * What other servers hear of our users' typing, receipts and presence.
 * Spec: server-server-api §Typing Notifications, §Receipts, §Presence.
 */
import type { Outbox } from '../federation/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Presence } from './presence.ts'
import { PresenceToServers } from './presence-to-servers.ts'
import type { ReceiptChange, Receipts } from './receipts.ts'
import type { Typing, TypingChange } from './typing.ts'

/** Others take a user's typing for over after a minute or so without a word. */
const TYPING_REPEAT_MS = 40_000
/** In rooms with more servers than this nobody is told who types: it would cost more than what is typed. */
const MAX_SERVERS_FOR_TYPING = 200
/** Receipts wait for what goes to the server anyway, the longer the more servers there are. */
const RECEIPT_WITHIN_MS = 1_000
const RECEIPT_WITHIN_MS_PER_SERVER = 20
const MAX_RECEIPT_WITHIN_MS = 60_000

/** Begins to tell other servers; ends when disposed of. */
export function tellServers(deps: {
  readonly environment: Environment
  readonly rooms: RoomsForReaders
  readonly ephemeral: { readonly typing: Typing; readonly receipts: Receipts; readonly presence: Presence }
  readonly outbox: Pick<Outbox, 'offerEdu'>
}): Disposable {
  const { environment, rooms, outbox, ephemeral } = deps
  const { typing, receipts, presence } = ephemeral
  const { clock, logger } = environment
  /** By room and user: what ends the waiting for the next word that they still type. */
  const repeats = new Map<string, () => void>()
  const guard = (work: Promise<void>): void => {
    work.catch((error: unknown) => logger.error({ event: 'ephemeral.not-sent', error }))
  }

  function typed({ roomId, userId, typing: isTyping, isLocal, isRefresh }: TypingChange): void {
    if (!isLocal || isRefresh) return
    const key = `typing ${roomId} ${userId}`
    repeats.get(key)?.()
    repeats.delete(key)
    if (isTyping) {
      const again = (): void => {
        repeats.set(key, clock.after(TYPING_REPEAT_MS, again))
        guard(sendTyping(roomId, userId, key))
      }
      repeats.set(key, clock.after(TYPING_REPEAT_MS, again))
    }
    guard(sendTyping(roomId, userId, key))
  }

  async function sendTyping(roomId: string, userId: string, key: string): Promise<void> {
    const servers = await rooms.serversAllowedIn(roomId)
    if (servers.size > MAX_SERVERS_FOR_TYPING) return
    // As it is by now, so that of two changes the later one counts.
    const content = { room_id: roomId, user_id: userId, typing: typing.inRoom(roomId).includes(userId) }
    for (const server of servers) outbox.offerEdu(server, { edu_type: 'm.typing', content }, key)
  }

  async function sendReceipt({ roomId, userId, threadId, eventId, ts }: ReceiptChange): Promise<void> {
    const servers = await rooms.serversAllowedIn(roomId)
    const data = { ts, ...(threadId !== null && { thread_id: threadId }) }
    const content = { [roomId]: { 'm.read': { [userId]: { data, event_ids: [eventId] } } } }
    const withinMs = Math.min(RECEIPT_WITHIN_MS + RECEIPT_WITHIN_MS_PER_SERVER * servers.size, MAX_RECEIPT_WITHIN_MS)
    const key = `receipt ${roomId} ${userId} ${threadId ?? ''}`
    for (const server of servers) outbox.offerEdu(server, { edu_type: 'm.receipt', content }, key, withinMs)
  }

  const unsubscribe = [
    typing.onChange(typed),
    receipts.onChange((change) => {
      if (change.isLocal && change.type === 'm.read') guard(sendReceipt(change))
    }),
  ]
  const presenceToServers = new PresenceToServers({ environment, rooms, presence, outbox })
  return {
    [Symbol.dispose]() {
      for (const end of unsubscribe) end()
      for (const cancel of repeats.values()) cancel()
      presenceToServers[Symbol.dispose]()
    },
  }
}
