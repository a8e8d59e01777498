import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Appservice } from './appservice.ts'
import type { Interest, Pick } from './interest.ts'
import type { RoomSource, SourceEvent, SourceRoom } from './sources.ts'

/** Events of one transaction, unless more came in one commit. */
const MAX_EVENTS = 100
/** Bytes of the events of one transaction, unless those of one commit are more. */
const MAX_BYTES = 1024 * 1024
/** How many events of one room are looked at for one transaction. */
const EVENTS_PER_ROOM = 200

/** Events in the order of the stream, each with its JSON as one of the application service's users sees it. */
export interface RoomEvents {
  readonly events: readonly { readonly event: SourceEvent; readonly json: string }[]
  /** Up to this stream position nothing is missing. */
  readonly upTo: number
}

/**
 * What an application service is to get of what happened after `since`. The stream is cut between commits only, so that a
 * position says all of what was told.
 *
 * @param roomIds those in which something happened; others are not looked into
 */
export async function roomEventsSince(
  given: { readonly service: Appservice; readonly rooms: RoomSource; readonly interest: Interest },
  span: { readonly since: number; readonly upTo: number; readonly roomIds: readonly string[] },
): Promise<RoomEvents> {
  const { rooms, interest } = given
  const picks: Pick[] = []
  let horizon = span.upTo
  for (const roomId of span.roomIds) {
    picks.push(...(await invitesElsewhere(given, roomId, span)))
    using view = await openIfKnown(rooms, roomId)
    if (!view) continue
    const { events, isUpToNow } = await eventsAfter(view, span.since)
    const last = events.at(-1)
    if (!isUpToNow && last) horizon = Math.min(horizon, last.position)
    for (const pick of await interest.among(view, events, isUpToNow))
      if (pick.event.position <= span.upTo) picks.push(pick)
  }
  picks.sort(({ event: a }, { event: b }) => a.position - b.position || (a.order ?? 0) - (b.order ?? 0))
  return render(given, picks, horizon)
}

/** Of its own users, to rooms of other servers: their bots come in by these. */
async function invitesElsewhere(
  { service, rooms }: { readonly service: Appservice; readonly rooms: RoomSource },
  roomId: string,
  { since, upTo }: { readonly since: number; readonly upTo: number },
): Promise<readonly Pick[]> {
  const picks: Pick[] = []
  for (const invite of await rooms.invitesElsewhere(roomId)) {
    const { userId, sender, eventId, position, strippedState = [], origin_server_ts } = invite
    if (position <= since || position > upTo || !service.ownsUser(userId)) continue
    const content = (strippedState.at(-1)?.content ?? { membership: 'invite' }) as { readonly [key: string]: unknown }
    const pdu = { type: 'm.room.member', sender, state_key: userId, content }
    const json = JSON.stringify({
      ...pdu,
      event_id: eventId,
      room_id: roomId,
      origin_server_ts,
      unsigned: { invite_room_state: strippedState },
    })
    picks.push({ event: { eventId, roomId, order: null, position, pdu }, viewer: userId, json })
  }
  return picks
}

async function openIfKnown(rooms: RoomSource, roomId: string): Promise<SourceRoom | undefined> {
  try {
    return await rooms.open(roomId)
  } catch (error) {
    // The room has been taken away since.
    if (error instanceof MatrixError && error.errcode === 'M_NOT_FOUND') return undefined
    throw error
  }
}

/** Events after a position, whole commits of them. */
async function eventsAfter(
  view: SourceRoom,
  since: number,
): Promise<{ readonly events: readonly SourceEvent[]; readonly isUpToNow: boolean }> {
  const direction = 'forward'
  const events = [...(await view.timeline({ from: await view.orderAfter(since), limit: EVENTS_PER_ROOM, direction }))]
  if (events.length < EVENTS_PER_ROOM) return { events, isUpToNow: true }
  for (;;) {
    const last = events.at(-1) as SourceEvent
    const more = await view.timeline({ from: (last.order ?? 0) + 1, limit: EVENTS_PER_ROOM, direction })
    const ofSameCommit = more.filter(({ position }) => position === last.position)
    events.push(...ofSameCommit)
    if (more.length === 0) return { events, isUpToNow: true }
    if (ofSameCommit.length < more.length) return { events, isUpToNow: false }
  }
}

async function render(
  { service, rooms }: { readonly service: Appservice; readonly rooms: RoomSource },
  picks: readonly Pick[],
  horizon: number,
): Promise<RoomEvents> {
  const events: { event: SourceEvent; json: string }[] = []
  let bytes = 0
  using views = new DisposableStack()
  const opened = new Map<string, SourceRoom>()
  const open = async (roomId: string): Promise<SourceRoom> => {
    const view = opened.get(roomId) ?? views.use(await rooms.open(roomId))
    opened.set(roomId, view)
    return view
  }
  for (const { event, viewer, json: told } of picks) {
    if (event.position > horizon) break
    const before = events.at(-1)?.event.position
    const isNewCommit = before !== undefined && event.position !== before
    if (isNewCommit && (events.length >= MAX_EVENTS || bytes >= MAX_BYTES)) return { events, upTo: before }
    const json = told ?? (await asTold(service, rooms, await open(event.roomId), event, viewer))
    bytes += Buffer.byteLength(json)
    events.push({ event, json })
  }
  return { events, upTo: horizon }
}

/** An invite of one of its users comes with the state that an invited user gets to see. Spec: §Stripped state. */
async function asTold(
  service: Appservice,
  rooms: RoomSource,
  view: SourceRoom,
  event: SourceEvent,
  viewer: string,
): Promise<string> {
  const json = await view.render(event, { userId: viewer, deviceId: null, withRoomId: true })
  const { type, state_key: target, content } = event.pdu
  const isInvite = type === 'm.room.member' && content.membership === 'invite'
  if (!isInvite || target === undefined || !service.ownsUser(target)) return json
  const entry = await rooms.findMembership(target, event.roomId)
  if (entry?.eventId !== event.eventId || !entry.strippedState) return json
  const told = JSON.parse(json) as { unsigned?: object }
  return JSON.stringify({ ...told, unsigned: { ...told.unsigned, invite_room_state: entry.strippedState } })
}
