/** Our users' knocks on rooms that this server is not in. Spec: server-server-api §Knocking upon a room. */
import { forbidden } from '../../../shared/matrix/errors.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import { ROOM_VERSIONS } from '../../protocol/room-versions.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { profileFor } from '../set-membership.ts'
import { oneAtATime } from './join.ts'
import { isElsewhere, setOutside } from './outside.ts'
import { badAnswer, candidatesFor, tryServers } from './servers.ts'
import { readTold } from './stripped.ts'
import { eventFromTemplate } from './template.ts'

/**
 * Asks through other servers to be let in.
 * @returns `here`: this server came into the room meanwhile
 * @throws MatrixError 403 M_FORBIDDEN where the user is invited already, or what the other servers have against it; 502, 404 as for joins
 */
export function knockElsewhere(
  core: RoomsCore,
  rooms: OpenRooms,
  wish: {
    readonly roomId: string
    readonly userId: string
    readonly content: JsonObject
    readonly via: readonly string[]
  },
): Promise<'knocked' | 'here'> {
  const { roomId, userId, via } = wish
  return oneAtATime(core, roomId, async () => {
    using held = await rooms.hold(roomId)
    const room = held?.room
    if (!isElsewhere(core, room)) return 'here'
    const now = await core.memberships.find(userId, roomId)
    if (now?.membership === 'invite') throw forbidden('You are invited to this room already')
    const content = { ...(await profileFor(core, { target: userId, membership: 'knock' })), ...wish.content }
    const servers = await candidatesFor(core, { roomId, userId, via, room })
    await tryServers(core, servers, async (server, peers) => {
      const template = await peers.makeMembership(server, { kind: 'knock', roomId, userId, versions: ROOM_VERSIONS })
      const own = eventFromTemplate(core, server, template, { roomId, userId, membership: 'knock', content })
      const { rules, eventId, pdu } = own
      if (!rules.knocking) throw badAnswer(server, `nobody can knock in rooms of version ${rules.version}`)
      const told = readTold(await peers.sendKnock(server, { roomId, eventId, pdu }), roomId, rules)
      // The knock is out: that its room is not shown does not undo it.
      if (!told.ok) core.environment.logger.info({ event: 'rooms.knock.untold', roomId, server, why: told.why })
      const { type, sender, content: shown } = pdu
      const strippedState = [
        ...(told.ok ? told.strippedState : []),
        { type, state_key: userId, sender, content: shown },
      ]
      const isStillDue = (entry: typeof now): boolean => entry?.membership !== 'invite'
      await setOutside(core, rooms, {
        roomId,
        userId,
        membership: 'knock',
        rules,
        eventId,
        pdu,
        strippedState,
        via: server,
        isStillDue,
      })
    })
    return 'knocked'
  })
}
