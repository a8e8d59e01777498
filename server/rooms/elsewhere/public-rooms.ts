/** The published rooms of another server. Spec: server-server-api §Public Room Directory. */
import { MatrixError } from '../../../shared/matrix/errors.ts'
import type { Json } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import { type DirectoryPage, type DirectoryWish, limitOf } from '../directory.ts'
import type { PublicRoom } from '../published-rooms.ts'
import { forClient, isRemoteFailure } from './servers.ts'
import { publicRoomIn } from './summaries.ts'

const MAX_TOKEN_LENGTH = 1_024

/**
 * A page as that server gives it, without what is no room.
 * @throws MatrixError 502 where it cannot be reached or gives no sense; 403 where it shows its directory to nobody
 */
export async function listPublishedElsewhere(
  core: RoomsCore,
  server: string,
  wish: DirectoryWish,
): Promise<DirectoryPage> {
  if (!core.peers) throw new MatrixError('M_UNKNOWN', 502, 'The other server could not be reached')
  const { since, searchTerm, roomTypes, networkId, allNetworks } = wish
  const limit = limitOf(wish)
  try {
    const answer = await core.peers.publicRooms(server, {
      limit,
      since,
      searchTerm: searchTerm === '' ? undefined : searchTerm,
      roomTypes,
      networkId,
      allNetworks,
    })
    const { chunk, total_room_count_estimate: total, next_batch: next, prev_batch: previous } = answer
    const listed = (Array.isArray(chunk) ? (chunk as readonly Json[]) : []).slice(0, limit)
    const rooms = listed.map(publicRoomIn).filter((room): room is PublicRoom => room !== undefined)
    return {
      chunk: rooms,
      ...(isToken(next) && { next_batch: next }),
      ...(isToken(previous) && { prev_batch: previous }),
      total_room_count_estimate: typeof total === 'number' && Number.isSafeInteger(total) ? total : rooms.length,
    }
  } catch (error) {
    throw isRemoteFailure(error) ? forClient(error) : error
  }
}

const isToken = (token: Json | undefined): token is string =>
  typeof token === 'string' && token !== '' && token.length <= MAX_TOKEN_LENGTH
