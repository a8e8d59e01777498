import { ping } from '../../shared/api/appservice/ping.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'
import { RemoteError } from '../net/index.ts'
import type { Clock } from '../observe/environment.ts'
import { type AsClient, isSuccess } from './as-client.ts'

const TIMEOUT_MS = 30_000
/** How much of a bad answer is passed on. */
const MAX_SHOWN_LENGTH = 2_048

/**
 * Spec: application-service-api §Pinging.
 * @returns milliseconds that the answer took
 * @throws MatrixError 502 M_BAD_STATUS, M_CONNECTION_FAILED; 504 M_CONNECTION_TIMEOUT
 */
export async function pingThrough(client: AsClient, clock: Clock, transactionId: string | undefined): Promise<number> {
  const body = JSON.stringify(transactionId === undefined ? {} : { transaction_id: transactionId })
  const startedTs = clock.now()
  try {
    const answer = await client.call({ endpoint: ping, body, timeoutMs: TIMEOUT_MS })
    if (!isSuccess(answer)) {
      const { status, text } = answer
      const shown = { status, body: text.slice(0, MAX_SHOWN_LENGTH) }
      throw new MatrixError('M_BAD_STATUS', 502, `The application service answered ${status}`, shown)
    }
    return Math.max(0, Math.round(clock.now() - startedTs))
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    if (error.failure === 'timeout') {
      throw new MatrixError('M_CONNECTION_TIMEOUT', 504, 'The application service did not answer in time')
    }
    throw new MatrixError('M_CONNECTION_FAILED', 502, 'The application service cannot be reached')
  }
}
