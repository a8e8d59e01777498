import { inviteUser } from '../../../shared/api/client/inviting.ts'
import { badJson, MatrixError, missingParam } from '../../../shared/matrix/errors.ts'
import { requireNotSuspended } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

const ADDRESS_KEYS = ['id_server', 'id_access_token', 'medium', 'address'] as const

export const invitingRoutes = (rooms: Pick<Rooms, 'invite'>): readonly Route[] => [
  route(inviteUser, async ({ path, body, requester }) => {
    requireNotSuspended(requester)
    const { user_id: target, reason } = body
    if (target === undefined) throw refuseByAddress(body)
    await rooms.invite({ roomId: path.roomId, by: requester.userId, target, reason })
    return {}
  }),
]

/** `inviteBy3PID`, which has the same path: no identity server is asked. */
function refuseByAddress(body: Readonly<Partial<Record<(typeof ADDRESS_KEYS)[number], string>>>): MatrixError {
  const missing = ADDRESS_KEYS.filter((key) => body[key] === undefined)
  if (missing.length === ADDRESS_KEYS.length) return badJson('user_id is missing')
  if (missing.length > 0) return missingParam(`${missing.join(', ')} missing`)
  return new MatrixError('M_THREEPID_DENIED', 403, 'This server does not invite by e-mail address or telephone number')
}
