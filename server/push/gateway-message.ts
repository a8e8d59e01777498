/** What push services carry to apps. */
import type { PushDevice, PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'
import { isJsonObject } from '../protocol/json.ts'

/** What fits into one record of RFC 8291, and what every UnifiedPush server takes. */
const MAX_BYTES = 3_800

/** A message for Web Push: flat, as apps know it from other gateways. */
export interface WebPushMessage {
  readonly text: string
  readonly urgency: 'low' | 'high'
  /** The newest message of a topic takes the place of the one before, if that is still on its way. */
  readonly topicOf?: string
}

/** @returns `undefined` where the app wants to hear of events only, and this is none */
export function webPushMessage(notification: PushNotification, { data = {} }: PushDevice): WebPushMessage | undefined {
  const { counts = {}, devices: _devices, prio, ...about } = notification
  if (data.events_only === true && about.event_id === undefined) return undefined
  const fixed = isJsonObject(data.default_payload) ? data.default_payload : {}
  return {
    text: fitting({ ...fixed, ...about, unread: counts.unread ?? 0, ...withMissed(counts.missed_calls) }),
    urgency: prio === 'low' ? 'low' : 'high',
    ...(data.only_last_per_room === true && about.room_id !== undefined && { topicOf: about.room_id }),
  }
}

/** The notification without what is about devices, as apps with UnifiedPush read it. */
export function unifiedPushMessage({ devices: _devices, ...notification }: PushNotification): string {
  return fitting({ notification })
}

const withMissed = (missedCalls: number | undefined) => (missedCalls === undefined ? {} : { missed_calls: missedCalls })

/** JSON text; what is too long for it goes without its content, and then without all but IDs and counts. */
function fitting(message: Readonly<Record<string, unknown>>): string {
  const inner = isJsonObject(message.notification) ? message.notification : message
  const outer = (value: object): string => JSON.stringify(inner === message ? value : { notification: value })
  const { content: _content, ...withoutContent } = inner as Readonly<Record<string, unknown>>
  const { event_id, room_id, counts, unread, missed_calls, prio } = withoutContent
  const texts = [outer(inner), outer(withoutContent), outer({ event_id, room_id, counts, unread, missed_calls, prio })]
  return texts.find((text) => Buffer.byteLength(text) <= MAX_BYTES) ?? outer({})
}
