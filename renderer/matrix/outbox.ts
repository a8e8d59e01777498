import {
  EventStatus,
  KnownMembership,
  type MatrixClient,
  type MatrixEvent,
  type Room,
  RoomEvent,
  type TimelineEvents,
} from 'matrix-js-sdk'
import type { KeyValueStore } from './credentials.ts'
import { Failure } from './failure.ts'
import { createSendQueue, type OutgoingItem, type SendQueue } from './send-queue.ts'

/**
 * The queue of what is being sent, driven through the SDK, which encrypts. The SDK's own queue and its own storage of
 * unsent events are switched off in `client.ts`: it gives up at the first lost connection, and forgets encrypted ones.
 */
export function createOutbox(client: MatrixClient, storage: KeyValueStore): SendQueue & { close: () => void } {
  const key = outboxKey(client.getSafeUserId(), client.getDeviceId() ?? '')
  const echoes = new Map<string, MatrixEvent>()

  const queue = createSendQueue({
    load: () => storage.getItem(key),
    save: (text) => (text === '[]' ? storage.removeItem(key) : storage.setItem(key, text)),
    newTxnId: () => client.makeTxnId(),
    now: Date.now,
    later: (ms, work) => {
      const timer = setTimeout(work, ms)
      return () => clearTimeout(timer)
    },
    send: (item) => send(item),
    onGivenUp: (item) => {
      const echo = echoes.get(item.txnId)
      echoes.delete(item.txnId)
      if (echo?.status === EventStatus.NOT_SENT) client.cancelPendingEvent(echo)
    },
  })

  async function send(item: OutgoingItem): Promise<string> {
    const room = client.getRoom(item.roomId)
    // without the room the SDK would not know that it is encrypted; wait for it instead
    if (!room) throw new Failure('offline', { message: 'the room has not arrived yet' })
    if (room.getMyMembership() !== KnownMembership.Join) throw new Failure('forbidden')
    const echo = echoes.get(item.txnId)
    if (echo) return resend(echo, room)
    const sending = client.sendEvent(
      item.roomId,
      null,
      item.type as keyof TimelineEvents,
      item.content as never,
      item.txnId,
    )
    const made = room.getPendingEvents().find((event) => event.getTxnId() === item.txnId)
    if (made) echoes.set(item.txnId, made)
    const { event_id } = await sending
    echoes.delete(item.txnId)
    return event_id
  }

  async function resend(echo: MatrixEvent, room: Room): Promise<string> {
    // it came back through the sync meanwhile: the first try had reached the server
    if (echo.status === null || echo.status === EventStatus.SENT) return echo.getId() ?? ''
    const { event_id } = await client.resendEvent(echo, room)
    echoes.delete(echo.getTxnId() ?? '')
    return event_id
  }

  const onTimeline = (event: MatrixEvent): void => {
    const txnId = event.getUnsigned().transaction_id
    if (txnId && event.getSender() === client.getUserId()) queue.settle(txnId)
  }
  const onEcho = (event: MatrixEvent): void => {
    if (event.status === null) queue.settle(event.getUnsigned().transaction_id ?? event.getTxnId() ?? '')
  }
  client.on(RoomEvent.Timeline, onTimeline)
  client.on(RoomEvent.LocalEchoUpdated, onEcho)

  return {
    ...queue,
    close: () => {
      queue.stop()
      client.off(RoomEvent.Timeline, onTimeline)
      client.off(RoomEvent.LocalEchoUpdated, onEcho)
    },
  }
}

/** Where a device's unsent messages are kept. */
function outboxKey(userId: string, deviceId: string): string {
  return `hearth.outbox.${userId}.${deviceId}`
}
