/**
 * Turning down an invite to a room that this server is not in, and taking back a knock on one.
 * Spec: server-server-api §Leaving Rooms (Rejecting Invites).
 */
import { forbidden, MatrixError } from '../../../shared/matrix/errors.ts'
import { encodeBase64Url } from '../../protocol/base64.ts'
import type { JsonObject, Pdu } from '../../protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { oneAtATime } from './join.ts'
import { isElsewhere, setOutside } from './outside.ts'
import { candidatesFor, tryServers } from './servers.ts'
import { outsideRooms } from './store.ts'
import { eventFromTemplate, type OwnEvent } from './template.ts'

/**
 * Ends what the user has to do with a room that we are not in. Another server is told if one answers; where none does the user
 * is rid of it all the same.
 *
 * @returns `here`: this server came into the room meanwhile
 * @throws MatrixError 403 M_FORBIDDEN for a user who has nothing to do with the room
 */
export function leaveElsewhere(
  core: RoomsCore,
  rooms: OpenRooms,
  wish: {
    readonly roomId: string
    readonly userId: string
    readonly content: JsonObject
    /** Though this server is in the room: it knows nothing of the invite. */
    readonly evenIfHere?: boolean
  },
): Promise<'left' | 'here'> {
  const { roomId, userId } = wish
  return oneAtATime(core, roomId, async () => {
    using held = await rooms.hold(roomId)
    const room = held?.room
    if (!wish.evenIfHere && !isElsewhere(core, room)) return 'here'
    const now = await core.memberships.find(userId, roomId)
    if (!now) throw forbidden('You are not in this room')
    if (now.membership === 'ban') throw forbidden('You are banned from this room')
    if (now.membership === 'leave') return 'left'
    const servers = await candidatesFor(core, { roomId, userId, via: [], room })
    const known = await core.store.home.get(outsideRooms, roomId)
    const told = await tell(core, servers, { ...wish, version: room?.rules.version ?? known?.version })
    const rules = told?.own.rules ?? room?.rules ?? getRoomVersion(known?.version ?? ROOM_VERSIONS[0] ?? '1')
    const { eventId, pdu } = told?.own ?? unsent(core, wish)
    const via = told?.server ?? known?.via ?? servers[0] ?? ''
    const isStillDue = (entry: typeof now | undefined): boolean =>
      entry?.membership === 'invite' || entry?.membership === 'knock'
    await setOutside(core, rooms, { roomId, userId, membership: 'leave', rules, eventId, pdu, via, isStillDue })
    return 'left'
  })
}

/** @returns the leave that a server took, and which one; `undefined` where none did */
async function tell(
  core: RoomsCore,
  servers: readonly string[],
  wish: {
    readonly roomId: string
    readonly userId: string
    readonly content: JsonObject
    /** Of the room, as far as it is known: other servers need not say. */
    readonly version: string | undefined
  },
): Promise<{ readonly own: OwnEvent; readonly server: string } | undefined> {
  const { roomId, userId, content, version } = wish
  try {
    return await tryServers(core, servers, async (server, peers) => {
      const given = await peers.makeMembership(server, { kind: 'leave', roomId, userId, versions: ROOM_VERSIONS })
      const template = { ...given, roomVersion: given.roomVersion ?? version }
      const own = eventFromTemplate(core, server, template, { roomId, userId, membership: 'leave', content })
      await peers.sendLeave(server, { roomId, eventId: own.eventId, pdu: own.pdu })
      return { own, server }
    })
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    // The user must not be kept by servers that are gone, or that say the user is not there.
    core.environment.logger.info({ event: 'rooms.left_untold', roomId, userId, why: error.message })
    return undefined
  }
}

/** Stands for the leave that nobody took, so that the user's clients hear of it. */
function unsent(
  { environment }: RoomsCore,
  { roomId, userId, content }: { readonly roomId: string; readonly userId: string; readonly content: JsonObject },
): { readonly eventId: string; readonly pdu: Pdu } {
  const pdu: Pdu = {
    room_id: roomId,
    type: 'm.room.member',
    sender: userId,
    state_key: userId,
    content: { ...content, membership: 'leave' },
    prev_events: [],
    auth_events: [],
    depth: 1,
    origin_server_ts: environment.clock.now(),
    hashes: { sha256: '' },
    signatures: {},
  }
  return { eventId: `$${encodeBase64Url(environment.random.bytes(32))}`, pdu }
}
