import { askPolicyServerToSign } from '../../shared/api/federation/room_policy.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Json, JsonObject, Pdu } from '../protocol/pdu.ts'
import type { FederationClient } from './contract.ts'
import { RemoteRefusal } from './remote-refusal.ts'

/** A person waits for it with every message. */
const TIMEOUT_MS = 20_000
const MAX_BYTES = 64 * 1024

/**
 * Asks a policy server for its signature of an event. Spec: server-server-api §Asking for a Policy Server signature on an event.
 * @returns the body of its answer, unchecked
 * @throws MatrixError where it refuses, or asks for patience, in its own words; RemoteError, RemoteRefusal for all else
 */
export async function askToSign(client: FederationClient, serverName: string, pdu: Pdu): Promise<Json> {
  try {
    const body = pdu as unknown as JsonObject
    const limits = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, evenIfBackedOff: true }
    return (await client.call(serverName, askPolicyServerToSign, { path: {}, body, ...limits })) as Json
  } catch (error) {
    if (!(error instanceof RemoteRefusal)) throw error
    const { status, errcode, error: words, body } = error
    const cause = words || "The room's policy server refused the event"
    if (errcode === 'M_FORBIDDEN' && (status === 400 || status === 403)) throw new MatrixError(errcode, status, cause)
    if (status !== 429) throw error
    const { retry_after_ms: wait } = body
    const extra = typeof wait === 'number' && wait >= 0 ? { retry_after_ms: Math.min(wait, 3_600_000) } : {}
    throw new MatrixError('M_LIMIT_EXCEEDED', 429, cause, extra)
  }
}
