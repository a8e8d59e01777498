/** Reading a room's state as a client. Spec: client-server-api §Getting events for a room. */
import { forbidden, invalidParam, notFound } from '../../shared/matrix/errors.ts'
import { type Access, requireAccess } from './access.ts'
import { parseTimelineToken } from './batch-token.ts'
import type { EventViewer, Membership } from './contract.ts'
import type { RoomsCore } from './core.ts'
import { type KeptEvent, membershipIn } from './event.ts'
import type { OpenRooms } from './open-rooms.ts'
import { membersKnown } from './partial-state.ts'
import { KeptRoomView } from './room-view.ts'
import type { StateMap } from './state-map.ts'

export interface Reader {
  readonly roomId: string
  readonly userId: string
  readonly deviceId: string | null
}

export const viewerOf = ({ userId, deviceId }: Reader): EventViewer => ({
  userId,
  deviceId,
  withRoomId: true,
  bundles: true,
})

/** Opens the room to a reader, as far as they may look into it. */
export async function withAccess<T>(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  work: (view: KeptRoomView, access: Access, viewer: EventViewer) => Promise<T>,
): Promise<T> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  // A room that is not there and one that is closed look the same from outside.
  using held = await rooms.hold(reader.roomId)
  if (!held) throw forbidden('You are not in this room')
  using view = new KeptRoomView(core, held.room)
  return await work(view, await requireAccess(core, held.room, reader.userId), viewerOf(reader))
}

/** All state events, as JSON texts. @throws MatrixError 403 M_FORBIDDEN */
export function readState(core: RoomsCore, rooms: OpenRooms, reader: Reader): Promise<readonly string[]> {
  return withAccess(core, rooms, reader, (view, { state }, viewer) => renderAll(view, state.all(), viewer))
}

async function renderAll(
  view: KeptRoomView,
  events: Iterable<KeptEvent>,
  viewer: EventViewer,
): Promise<readonly string[]> {
  const texts: string[] = []
  for (const event of events) texts.push(await view.render(event, viewer))
  return texts
}

/** One state event or its content, as JSON text. @throws MatrixError 403 M_FORBIDDEN, 404 M_NOT_FOUND */
export function readStateEvent(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wanted: { readonly type: string; readonly stateKey: string; readonly format: 'content' | 'event' },
): Promise<string> {
  return withAccess(core, rooms, reader, async (view, { state }, viewer) => {
    const event = state.get(wanted.type, wanted.stateKey)
    if (!event) throw notFound('The room has no such state')
    return wanted.format === 'event' ? view.render(event, viewer) : JSON.stringify(event.pdu.content)
  })
}

export interface MembersWish {
  /** A batch token: the members as they were there. */
  readonly at: string | undefined
  readonly membership: Membership | undefined
  readonly notMembership: Membership | undefined
}

/** Member events, as JSON texts. @throws MatrixError 403 M_FORBIDDEN, 400 M_INVALID_PARAM for a token that is none of ours */
export async function readMembers(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  wish: MembersWish,
): Promise<readonly string[]> {
  await allMembersKnown(core, rooms, reader.roomId)
  return withAccess(core, rooms, reader, async (view, access, viewer) => {
    const state = wish.at === undefined ? access.state : await stateAtToken(view, access, wish.at)
    const { membership, notMembership } = wish
    const isWanted = (event: KeptEvent): boolean => {
      if (membership === undefined && notMembership === undefined) return true
      const is = membershipIn(event)
      return (membership !== undefined && is === membership) || (notMembership !== undefined && is !== notMembership)
    }
    return renderAll(view, [...state.ofType('m.room.member').values()].filter(isWanted), viewer)
  })
}

/** @throws MatrixError 503 where that takes too long */
async function allMembersKnown(core: RoomsCore, rooms: OpenRooms, roomId: string): Promise<void> {
  using held = await rooms.hold(roomId)
  if (held) await membersKnown(core.environment.clock, held.room)
}

async function stateAtToken(view: KeptRoomView, access: Access, token: string): Promise<StateMap> {
  const order = await orderOfToken(view, token)
  return order >= access.until ? access.state : view.stateAt(order - 1)
}

/**
 * The order of the event right behind the place that a batch token stands for.
 * @throws MatrixError 400 M_INVALID_PARAM
 */
export async function orderOfToken(view: KeptRoomView, text: string): Promise<number> {
  const token = parseTimelineToken(text)
  if (!token) throw invalidParam('That is not a token of this server')
  return token.kind === 'order' ? token.order : view.orderAfter(token.position)
}

/**
 * Names and pictures of those who are joined, by user ID. Only for members; an application service is one where any user of
 * its is. Spec: client-server-api §GET /rooms/{roomId}/joined_members.
 *
 * @throws MatrixError 403 M_FORBIDDEN
 */
export async function readJoinedMembers(
  core: RoomsCore,
  rooms: OpenRooms,
  { roomId, userId, appserviceId }: Pick<Reader, 'roomId' | 'userId'> & { readonly appserviceId: string | undefined },
): Promise<Readonly<Record<string, { readonly display_name?: string; readonly avatar_url?: string }>>> {
  await allMembersKnown(core, rooms, roomId)
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  using held = await rooms.hold(roomId)
  if (!held) throw forbidden('You are not in this room')
  const { joined, state } = held.room.visible
  const isOfService = (member: string): boolean =>
    appserviceId !== undefined && core.claims?.ownsUser(appserviceId, member) === true
  if (!joined.has(userId) && ![...joined].some(isOfService)) throw forbidden('You are not in this room')
  return Object.fromEntries(
    [...joined].map((member) => {
      const { displayname, avatar_url: avatar } = state.get('m.room.member', member)?.pdu.content ?? {}
      return [
        member,
        {
          ...(typeof displayname === 'string' && { display_name: displayname }),
          ...(typeof avatar === 'string' && { avatar_url: avatar }),
        },
      ]
    }),
  )
}

/** One event that the reader may see, as JSON text. @throws MatrixError 404 M_NOT_FOUND, for what they may not see, too */
export async function readEventById(
  core: RoomsCore,
  rooms: OpenRooms,
  reader: Reader,
  eventId: string,
): Promise<string> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  using held = await rooms.hold(reader.roomId)
  if (!held) throw notFound('There is no such event')
  using view = new KeptRoomView(core, held.room)
  const event = await findVisible(core, view, reader, eventId)
  return await view.render(event, viewerOf(reader))
}

/** More rooms than these are not searched for an event of an unknown room. */
const MAX_ROOMS_SEARCHED = 1_000

/**
 * One event of any of the reader's rooms, as JSON text: those they are in or were, the ones that changed last first.
 * Spec: client-server-api §GET /events/{eventId}.
 *
 * @throws MatrixError 404 M_NOT_FOUND
 */
export async function readEventAnywhere(
  core: RoomsCore,
  rooms: OpenRooms,
  { userId, deviceId }: Omit<Reader, 'roomId'>,
  eventId: string,
): Promise<string> {
  if (!core.announcer.isCaughtUp) await core.announcer.caughtUp()
  const lastChange = (roomId: string): number => core.changes.get(roomId) ?? 0
  const candidates = [...(await core.memberships.of(userId)).values()]
    .filter(({ membership, leftOrder, isForgotten }) => !isForgotten && (membership === 'join' || leftOrder !== null))
    .sort((a, b) => lastChange(b.roomId) - lastChange(a.roomId))
    .slice(0, MAX_ROOMS_SEARCHED)
  for (const { roomId } of candidates) {
    using held = await rooms.hold(roomId)
    if (!held) continue
    using view = new KeptRoomView(core, held.room)
    const event = await view.find(eventId)
    if (!event) continue
    const reader = { roomId, userId, deviceId }
    return await view.render(await findVisible(core, view, reader, eventId), viewerOf(reader))
  }
  throw notFound('There is no such event')
}

/** An event that the reader may see. @throws MatrixError 404 M_NOT_FOUND */
export async function findVisible(
  core: RoomsCore,
  view: KeptRoomView,
  reader: Reader,
  eventId: string,
): Promise<KeptEvent & { readonly order: number }> {
  const event = await view.find(eventId)
  const membership = await core.memberships.find(reader.userId, reader.roomId)
  const isForgotten = membership?.isForgotten === true && !view.joined().has(reader.userId)
  if (!event || event.order === null || !(await view.maySee(reader.userId, event))) {
    throw notFound('There is no such event')
  }
  if (isForgotten && !(await view.isWorldReadable(event))) throw notFound('There is no such event')
  return event as KeptEvent & { readonly order: number }
}
