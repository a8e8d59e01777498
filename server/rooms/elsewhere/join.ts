/** Our users' joins of rooms that this server must be let into. Spec: server-server-api §Joining Rooms, §Restricted rooms. */
import { MatrixError } from '../../../shared/matrix/errors.ts'
import type { Peers } from '../../federation/index.ts'
import { ownValue } from '../../protocol/json.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import { ROOM_VERSIONS } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { Inquiry } from '../receive/inquiry.ts'
import { acceptWithFetching } from '../receive/receive.ts'
import { profileFor } from '../set-membership.ts'
import { type BroughtIn, bringIn } from './bring-in.ts'
import { withSignatureOf } from './cosigned.ts'
import { isElsewhere } from './outside.ts'
import { badAnswer, candidatesFor, tryServers } from './servers.ts'
import { eventFromTemplate } from './template.ts'

/** A join is answered so long after it, if not all members are there before. */
const PATIENCE_MS = 1_000
/** For what a join builds on and this server has not got yet. */
const FETCHING_MS = 20_000

export interface JoinElsewhere {
  readonly roomId: string
  readonly userId: string
  /** Of the member event, besides what follows from the user. */
  readonly content: JsonObject
  /** Servers to try first. */
  readonly via: readonly string[]
  readonly isGuest: boolean
  /** Though this server is in the room: nobody here has the power to let the user in. */
  readonly evenIfHere?: boolean
}

/** Runs work while no other user is brought into, or out of, the same room through another server. */
export const oneAtATime = <T>(core: RoomsCore, roomId: string, work: () => Promise<T>): Promise<T> =>
  core.store.exclusive(`rooms elsewhere ${roomId}`, work)

/**
 * Joins through other servers, one after the other until one lets the user in. What resolves is durable.
 * @returns `here`: another user came in meanwhile, so that the user can join without the help of others
 * @throws MatrixError what the other servers have against it; 502 where none could be reached, 404 where none is known
 */
export function joinElsewhere(core: RoomsCore, rooms: OpenRooms, wish: JoinElsewhere): Promise<'joined' | 'here'> {
  const { roomId, userId, evenIfHere = false } = wish
  return oneAtATime(core, roomId, async () => {
    using held = await rooms.hold(roomId)
    const room = held?.room
    const isHere = room !== undefined && !isElsewhere(core, room)
    if (isHere && !evenIfHere) return 'here'
    if (wish.isGuest) {
      throw new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, 'Guests may only join rooms that this server is in')
    }
    const content = { ...(await profileFor(core, { target: userId, membership: 'join' })), ...wish.content }
    const servers = await candidatesFor(core, { roomId, userId, via: wish.via, room })
    await tryServers(core, servers, async (server, peers) => {
      const joined = await shakeHands(core, peers, server, { roomId, userId, content, version: room?.rules.version })
      if (isHere) await takeIn(core, room, joined)
      else await bringIn(core, rooms, roomId, joined, room)
      if (joined.answer.membersOmitted) await membersSoon(core, roomId)
    })
    return 'joined'
  })
}

/** Mostly the members are there in a moment, and nobody sees the room without them. */
async function membersSoon(core: RoomsCore, roomId: string): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const cancel = core.environment.clock.after(PATIENCE_MS, resolve)
  await Promise.race([core.fetchMembers(roomId), late])
  cancel()
}

/** make_join, and send_join with what we made of its answer. */
async function shakeHands(
  core: RoomsCore,
  peers: Peers,
  server: string,
  wish: {
    readonly roomId: string
    readonly userId: string
    readonly content: JsonObject
    /** Of a room that we know. */
    readonly version: string | undefined
  },
): Promise<BroughtIn> {
  const { roomId, userId, content, version } = wish
  const template = await peers.makeMembership(server, { kind: 'join', roomId, userId, versions: ROOM_VERSIONS })
  const own = eventFromTemplate(core, server, template, { roomId, userId, membership: 'join', content })
  if (version !== undefined && version !== own.rules.version) throw badAnswer(server, 'the room is of another version')
  const { eventId, pdu } = own
  const answer = await peers.sendJoin(server, { roomId, eventId, pdu, omitMembers: true })
  const cosigned = await withSignatureOf(core, server, own, roomId, answer.event)
  // Without it nobody else will accept the join. Spec: §Restricted rooms.
  const isVouchedFor = ownValue(pdu.content, 'join_authorised_via_users_server') !== undefined
  if (isVouchedFor && !cosigned) throw badAnswer(server, 'it has not signed the join that it vouches for')
  return { server, answer, join: { ...own, pdu: cosigned ?? pdu } }
}

/** Into a room that we are in: its state is known here, so of the answer only the event counts. */
async function takeIn(core: RoomsCore, room: OpenRoom, { server, join }: BroughtIn): Promise<void> {
  const inquiry = new Inquiry(core, [server], FETCHING_MS)
  const kept = await acceptWithFetching(core, room, join, inquiry, { isHandedOver: true })
  if (kept?.outcome === 'accepted' || kept?.outcome === 'known') return
  throw badAnswer(server, `the join that it let in is ${kept?.outcome ?? 'one that it does not explain'} here`)
}
