/**
 * Memberships of our users in rooms that this server is not in: an invite, a knock, and how they end. There is no room to
 * hold such an event, so only the membership is kept, and announced like an event of a room.
 */
import type { JsonObject, Pdu } from '../../protocol/pdu.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import { put } from '../../store/index.ts'
import type { Membership, MembershipEntry } from '../contract.ts'
import type { RoomsCore } from '../core.ts'
import { KeptEvent } from '../event.ts'
import { type KeptMembership, membershipRow } from '../memberships.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { keptJson } from '../receive/verify.ts'
import { membershipEntry, memberships } from '../store.ts'
import { outsideRooms } from './store.ts'

/** A change that another server told us of, or helped us with. */
export interface OutsideChange {
  readonly roomId: string
  readonly userId: string
  readonly membership: Membership
  readonly rules: RoomVersionRules
  readonly eventId: string
  readonly pdu: Pdu
  /** For invites and knocks: what the user may see of the room. */
  readonly strippedState?: readonly JsonObject[]
  /** The server to turn to about this room. */
  readonly via: string
  /** Looked at right before the change is written; where it says no, nothing happens. */
  readonly isStillDue?: (now: KeptMembership | undefined) => boolean
}

/**
 * Whether what happens in a room must go through another server: this one does not know it, or its users left it while others
 * stayed, so that what it knows of it may be long outdated.
 * @param room as far as it is known
 */
export function isElsewhere(core: RoomsCore, room: OpenRoom | undefined): boolean {
  if (!room) return true
  const { servers } = room.head
  return servers.size > 0 && !servers.has(core.environment.serverName)
}

/**
 * Writes and announces a membership in a room that we are not in.
 * @returns whether it was written: not where the user is in the room meanwhile, or `isStillDue` says no
 */
export async function setOutside(core: RoomsCore, rooms: OpenRooms, change: OutsideChange): Promise<boolean> {
  const { roomId } = change
  const work = (): Promise<boolean> => core.store.exclusive(`rooms outside ${roomId}`, () => write(core, change))
  using held = await rooms.hold(roomId)
  if (!held) return await work()
  const { room } = held
  return await room.enter(async () => {
    // Nothing that sets the membership may be under way.
    await room.flushed()
    return !room.head.joined.has(change.userId) && (await work())
  })
}

async function write(core: RoomsCore, change: OutsideChange): Promise<boolean> {
  const { roomId, userId, membership, rules, eventId, pdu, strippedState, via } = change
  const now = await core.memberships.find(userId, roomId)
  if (change.isStillDue && !change.isStillDue(now)) return false
  const isOut = membership === 'leave' || membership === 'ban'
  const event = new KeptEvent({
    rules,
    eventId,
    roomId,
    json: keptJson({ eventId, pdu }),
    order: null,
    position: 0,
    groupBefore: 0,
    groupAfter: 0,
  })
  let settle: ReturnType<RoomsCore['announcer']['issue']> | undefined
  let row: ReturnType<typeof membershipRow> | undefined
  try {
    await core.store.commit((position) => {
      settle = core.announcer.issue(position)
      event.setPosition(position)
      row = membershipRow({
        roomId,
        userId,
        membership,
        eventId,
        sender: pdu.sender,
        position,
        previous: now?.membership ?? null,
        isForgotten: isOut && (now?.isForgotten ?? false),
        strippedState: isOut ? undefined : strippedState,
        joinOrder: now?.joinOrder ?? null,
        leftOrder: now?.leftOrder ?? null,
        leftGroup: now?.leftGroup ?? null,
      })
      const ts = Number(pdu.origin_server_ts)
      return [core.memberships.write(row), put(outsideRooms, { roomId, version: rules.version, via, position, ts })]
    })
    if (row) core.memberships.applied(row)
  } catch (error) {
    settle?.([])
    throw error
  }
  settle?.([{ position: event.position, event, roomId, concerned: [userId], servers: [] }])
  return true
}

/** An invite to a room that this server is not in. */
export interface InviteElsewhere extends MembershipEntry {
  readonly origin_server_ts: number
}

/** The invites of our users to a room, where this server is not in it. */
export async function invitesElsewhere(
  core: RoomsCore,
  rooms: OpenRooms,
  roomId: string,
): Promise<readonly InviteElsewhere[]> {
  const row = await core.store.home.get(outsideRooms, roomId)
  if (!row) return []
  using held = await rooms.hold(roomId)
  if (!isElsewhere(core, held?.room)) return []
  const range = { index: 'roomId', from: roomId, to: `${roomId}\u0000` } as const
  return (await core.store.home.range(memberships, range))
    .map((entry) => ({ ...membershipEntry(entry), origin_server_ts: row.ts }))
    .filter(({ membership }) => membership === 'invite')
}

/** Rooms of others in which a membership of our users changed after a stream position. */
export async function elsewhereSince(core: RoomsCore, position: number): Promise<readonly string[]> {
  const rows = await core.store.home.range(outsideRooms, { index: 'roomId' })
  return rows.filter((row) => row.position > position).map(({ roomId }) => roomId)
}
