import type { EventViewer, Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import type { KeptEvent } from './event.ts'
import type { OpenRoom } from './open-room.ts'
import { purgedForm } from './purge.ts'
import type { Sight } from './visibility.ts'

/**
 * An event as a client sees it, as JSON text. Most of it is the same for all viewers and made once.
 * Spec: client-server-api §Room event format, `unsigned`.
 *
 * @param sight the viewer's, for their membership at the event and whether they may see what a state event replaced
 * @param relations the value of `m.relations` as JSON text
 */
export async function renderEvent(
  core: RoomsCore,
  room: OpenRoom,
  event: KeptEvent,
  viewer: EventViewer,
  sight: Sight,
  relations?: string,
): Promise<string> {
  // Outliers' state is not known.
  const membership = event.order === null ? undefined : await sight.membershipIn(event.groupAfter)
  const shown = isErasedFor(core, event, membership) ? purgedForm(event) : event
  const showsPrevious = event.replaces !== undefined && (await maySeeReplaced(room, event.replaces.eventId, sight))
  const facts = unsignedText(core, event, viewer, membership, showsPrevious)
  const unsigned = relations === undefined ? facts : `${facts.slice(0, -1)},"m.relations":${relations}}`
  if (viewer.format === 'federation') {
    const { unsigned: _, ...pdu } = shown.pdu
    return `${JSON.stringify(pdu).slice(0, -1)},"unsigned":${unsigned}}`
  }
  const roomId = viewer.withRoomId ? `,"room_id":${JSON.stringify(event.roomId)}` : ''
  return `${shown.clientText}${roomId},"unsigned":${unsigned}}`
}

/** State is shown as it is: rooms could not do without. Spec: client-server-api §POST /account/deactivate, `erase`. */
const isErasedFor = (core: RoomsCore, { isState, pdu }: KeptEvent, membership: Membership | undefined): boolean =>
  membership !== 'join' && !isState && core.erased.has(pdu.sender)

function unsignedText(
  core: RoomsCore,
  event: KeptEvent,
  viewer: EventViewer,
  membership: Membership | undefined,
  showsPrevious: boolean,
): string {
  const { replaces, redactedBecause, local } = event
  let text = `{"age":${Math.max(0, core.environment.clock.now() - event.pdu.origin_server_ts)}`
  if (membership !== undefined) text += `,"membership":"${membership}"`
  if (replaces) {
    text += `,"replaces_state":${JSON.stringify(replaces.eventId)}`
    if (showsPrevious) {
      text += `,"prev_content":${JSON.stringify(replaces.content)},"prev_sender":${JSON.stringify(replaces.sender)}`
    }
  }
  if (local?.txnId !== undefined && local.deviceId === viewer.deviceId && event.pdu.sender === viewer.userId) {
    text += `,"transaction_id":${JSON.stringify(local.txnId)}`
  }
  if (local?.delayId !== undefined && event.pdu.sender === viewer.userId) {
    text += `,"org.matrix.msc4140.delay_id":${JSON.stringify(local.delayId)}`
  }
  if (redactedBecause) {
    const roomId = viewer.withRoomId ? `,"room_id":${JSON.stringify(event.roomId)}` : ''
    text += `,"redacted_because":${redactedBecause.clientText}${roomId}}`
  }
  return `${text}}`
}

async function maySeeReplaced(room: OpenRoom, eventId: string, sight: Sight): Promise<boolean> {
  const replaced = room.recent.find(eventId) ?? (await room.reader.find(eventId))
  return replaced !== undefined && sight.maySee(replaced)
}
