/**
 * What a push gateway is told. Spec: data/api/push-gateway/push_notifier.yaml; push-gateway-api §Homeserver behaviour.
 */
import type { PushNotification } from '../../shared/api/push-gateway/push_notifier.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { RoomEvent } from '../rooms/index.ts'
import type { Scene } from './invite-scene.ts'
import type { PushOutcome } from './judge.ts'
import type { Pusher } from './pusher.ts'

/** @param unread how many events the user has not read in all rooms */
export function notificationOf(about: {
  readonly pusher: Pusher
  readonly event: RoomEvent
  readonly view: Scene
  readonly outcome: PushOutcome
  readonly unread: number
}): PushNotification {
  const { pusher, event, view, outcome, unread } = about
  const { type, sender, content, state_key: stateKey } = event.pdu
  // What makes a sound, or stands out, may wake the device.
  const prio = outcome.highlight || outcome.sound !== undefined ? 'high' : 'low'
  const least = { event_id: event.eventId, room_id: event.roomId, counts: countsOf(unread), prio } as const
  // Whoever asks for no more than the ID gets nothing that rules made of the content either.
  if (pusher.data.format === 'event_id_only') return { ...least, devices: [deviceOf(pusher, {})] }
  const senderName = textOf(view, 'm.room.member', 'displayname', sender)
  const roomName = textOf(view, 'm.room.name', 'name')
  const roomAlias = textOf(view, 'm.room.canonical_alias', 'alias')
  return {
    ...least,
    type,
    sender,
    content,
    ...(senderName !== undefined && { sender_display_name: senderName }),
    ...(roomName !== undefined && { room_name: roomName }),
    ...(roomAlias !== undefined && { room_alias: roomAlias }),
    ...(type === 'm.room.member' && { user_is_target: stateKey === pusher.userId }),
    devices: [deviceOf(pusher, outcome.tweaks)],
  }
}

/** Only the number of what is unread. */
export function countsNotification(pusher: Pusher, unread: number): PushNotification {
  return { counts: countsOf(unread), prio: 'low', devices: [deviceOf(pusher, {})] }
}

/** "Counts whose value is zero should be omitted." */
const countsOf = (unread: number): NonNullable<PushNotification['counts']> => (unread > 0 ? { unread } : {})

function deviceOf({ appId, pushkey, setTs, data }: Pusher, tweaks: JsonObject): PushNotification['devices'][number] {
  const { url: _url, ...rest } = data
  return { app_id: appId, pushkey, pushkey_ts: Math.floor(setTs / 1_000), data: rest, tweaks }
}

/** A text in the room's state, if it is one. */
export function textOf(view: Scene, type: string, key: string, stateKey = ''): string | undefined {
  const value = view.state.get(type, stateKey)?.pdu.content[key]
  return typeof value === 'string' && value !== '' ? value : undefined
}
