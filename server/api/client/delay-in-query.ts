import { MatrixError } from '../../../shared/matrix/errors.ts'
import { Reply } from '../../http/route.ts'
import type { Rooms } from '../../rooms/index.ts'

type DelayedWish = Parameters<Rooms['delayed']['schedule']>[0]

/**
 * Schedules an event for clients that ask for the delay beside `/send` and `/state`, as MSC4140 had it at first.
 * @throws MatrixError as `schedule`, with M_UNKNOWN for too long a delay, by which those clients tell it
 */
export async function scheduleByQuery({ delayed }: Pick<Rooms, 'delayed'>, wish: DelayedWish): Promise<Reply> {
  try {
    return Reply.json(JSON.stringify({ delay_id: await delayed.schedule(wish) }))
  } catch (error) {
    if (error instanceof MatrixError && 'org.matrix.msc4140.errcode' in error.extra) {
      throw new MatrixError('M_UNKNOWN', 400, error.message, error.extra)
    }
    throw error
  }
}
