import type { Pdu } from '../pdu.ts'
import { listSigningKeyIds } from '../signing.ts'

/** What the rules cannot read off the event and the state. The answers must not change from one call to the next. */
export interface AuthEnvironment {
  /** Whether the event is validly signed by the server: for rule 5.2, on joins that another server vouches for. */
  readonly isSignedBy: (event: Pdu, serverName: string) => boolean
}

/**
 * For events that went through the signature check on receipt, or that we signed: there the signatures of all servers that
 * have to sign are verified, once, so that here it is enough that there is one (`listRequiredSigners`).
 */
export const verifiedOnReceipt: AuthEnvironment = {
  isSignedBy: (event, serverName) => listSigningKeyIds(event.signatures, serverName, 1).length > 0,
}
