import { forbidden, invalidParam } from '../../shared/matrix/errors.ts'
import { isUserId } from '../../shared/matrix/identifiers.ts'
import type { Accounts, Requester } from '../accounts/index.ts'
import type { Directory } from './directory.ts'

/** Whom a request asks to be taken for, by its query. Spec: application-service-api §Identity assertion. */
export interface IdentityAssertion {
  readonly userId: string | undefined
  readonly deviceId: string | undefined
}

export type Authenticate = (
  accessToken: string,
  seen: { readonly ip: string; readonly userAgent: string },
  /** Read only where the token is an application service's. */
  assertion: () => IdentityAssertion,
) => Promise<Requester>

/**
 * Takes tokens of application services, and leaves all others to accounts.
 * @throws MatrixError 403 M_FORBIDDEN for a user whom it may not act as, 400 M_UNKNOWN_DEVICE; those of accounts
 */
export function authenticating(directory: Directory, accounts: Pick<Accounts, 'actAs' | 'authenticate'>): Authenticate {
  return async (accessToken, seen, assertion) => {
    const service = directory.findByToken(accessToken)
    if (!service) return accounts.authenticate(accessToken, seen)
    const { userId = service.userId, deviceId } = assertion()
    if (!isUserId(userId)) throw invalidParam('user_id is no user ID')
    if (!service.ownsUser(userId)) throw forbidden('The application service may not act as this user')
    const isUnlimited = userId === service.userId || service.registration.rate_limited === false
    return accounts.actAs({ userId, deviceId: deviceId ?? null, appservice: { id: service.id, isUnlimited }, seen })
  }
}
