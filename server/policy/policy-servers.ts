import type { Json, Pdu } from '../protocol/pdu.ts'

/**
 * The way to policy servers. Given by `app/`, answered by `federation/`; without it none can be reached.
 * Spec: server-server-api §Asking for a Policy Server signature on an event.
 */
export interface PolicyServers {
  /**
   * @param pdu complete and signed by its own server
   * @returns the body of the answer, unchecked: signatures by server and key ID
   * @throws MatrixError the policy server's own error, which clients are shown; anything else: it could not be reached
   */
  sign(serverName: string, pdu: Pdu): Promise<Json>
}
