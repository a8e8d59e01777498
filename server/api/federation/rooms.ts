/** All that other servers may ask of rooms, as one list for the composition root. */
import type { Accounts } from '../../accounts/index.ts'
import type { Route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { ForServers } from '../../rooms/index.ts'
import { backfillRoutes } from './backfill.ts'
import { eventAuthRoutes } from './event_auth.ts'
import { eventsRoutes } from './events.ts'
import { inviteV1Routes } from './invites-v1.ts'
import { inviteV2Routes } from './invites-v2.ts'
import { makeJoinRoutes } from './joins-v1.ts'
import { sendJoinRoutes } from './joins-v2.ts'
import { knocksRoutes } from './knocks.ts'
import { makeLeaveRoutes } from './leaving-v1.ts'
import { sendLeaveRoutes } from './leaving-v2.ts'
import { publicRoomsRoutes } from './public_rooms.ts'
import { queryRoutes } from './query.ts'
import { spaceHierarchyRoutes } from './space_hierarchy.ts'
import { thirdPartyInviteRoutes } from './third_party_invite.ts'

export const roomsForServersRoutes = (
  rooms: ForServers,
  accounts: Pick<Accounts, 'getProfile'>,
  environment: Environment,
): readonly Route[] => [
  ...eventsRoutes(rooms, environment),
  ...eventAuthRoutes(rooms, environment),
  ...backfillRoutes(rooms, environment),
  ...makeJoinRoutes(rooms),
  ...sendJoinRoutes(rooms, environment),
  ...makeLeaveRoutes(rooms),
  ...sendLeaveRoutes(rooms),
  ...knocksRoutes(rooms),
  ...inviteV1Routes(rooms),
  ...inviteV2Routes(rooms),
  ...thirdPartyInviteRoutes(rooms, environment),
  ...publicRoomsRoutes(rooms),
  ...queryRoutes(rooms, accounts, environment.serverName),
  ...spaceHierarchyRoutes(rooms),
]
