/**
 * What a user's push rules say about an event of a room. Spec: client-server-api §Push Rules.
 */
import { roomStateOf } from '../protocol/auth-rules/index.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type PushContext, PushEvent } from '../protocol/push-conditions.ts'
import { type CompiledPushRules, evaluate, type PushOutcome } from '../protocol/push-rules.ts'
import type { RoomEvent } from '../rooms/index.ts'
import type { Scene } from './invite-scene.ts'

export type { PushOutcome } from '../protocol/push-rules.ts'

/** The event as rules look at it: made once, then asked for all users. */
const pushEvents = new WeakMap<RoomEvent, PushEvent>()

function pushEventOf(event: RoomEvent): PushEvent {
  const known = pushEvents.get(event)
  if (known) return known
  const { type, sender, content, state_key } = event.pdu
  const made = new PushEvent({
    type,
    sender,
    content,
    room_id: event.roomId,
    event_id: event.eventId,
    ...(state_key !== undefined && { state_key }),
  })
  pushEvents.set(event, made)
  return made
}

/** What rules may ask about the room as it is now; each looked up only when a rule asks. */
class RoomContext implements PushContext {
  readonly userId: string
  readonly #view: Scene
  readonly #event: RoomEvent

  constructor(userId: string, view: Scene, event: RoomEvent) {
    this.userId = userId
    this.#view = view
    this.#event = event
  }

  get displayName(): string | undefined {
    const name = this.#view.state.get('m.room.member', this.userId)?.pdu.content.displayname
    return typeof name === 'string' ? name : undefined
  }

  get memberCount(): number {
    return this.#view.members.joined
  }

  get senderPower(): number {
    const { state, rules } = this.#view
    return roomStateOf((type, stateKey) => state.get(type, stateKey), rules).power(this.#event.pdu.sender)
  }

  get notificationLevels(): JsonObject {
    const levels = this.#view.state.get('m.room.power_levels', '')?.pdu.content.notifications
    return isJsonObject(levels) ? levels : {}
  }
}

export function judge(event: RoomEvent, view: Scene, user: { userId: string; rules: CompiledPushRules }): PushOutcome {
  const context = new RoomContext(user.userId, view, event)
  return evaluate({ rules: user.rules, event: pushEventOf(event), context })
}
