import {
  exchangeThirdPartyInvite,
  onBindThirdPartyIdentifier,
} from '../../../shared/api/federation/third_party_invite.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { type Route, route } from '../../http/route.ts'
import type { Environment } from '../../observe/environment.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import type { ForServers } from '../../rooms/index.ts'

/** Invites that are taken from one notification. */
const MAX_INVITES = 20

export const thirdPartyInviteRoutes = (
  rooms: Pick<ForServers, 'exchangeAddressInvite' | 'claimAddressInvite'>,
  { logger }: Environment,
): readonly Route[] => [
  route(exchangeThirdPartyInvite, async ({ path, body, requester }) => {
    const event = body as unknown as JsonObject
    await rooms.exchangeAddressInvite({ roomId: path.roomId, event, origin: requester.serverName })
    return {}
  }),

  route(onBindThirdPartyIdentifier, async ({ body }) => {
    const claims = body.invites.slice(0, MAX_INVITES).map(async ({ room_id: roomId, sender, signed }) => {
      try {
        await rooms.claimAddressInvite({ roomId, sender, signed: signed as unknown as JsonObject })
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        // Each stands for itself; who sends them could not do anything about it.
        logger.info({ event: 'rooms.address_invite.failed', roomId, why: error.errcode })
      }
    })
    await Promise.all(claims)
    return {}
  }),
]
