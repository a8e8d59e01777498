import { getRegistrationNonce, registerBySharedSecret } from '../../../shared/api/admin/register.ts'
import type { Accounts, SharedSecret } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import { sessionReply } from '../session-reply.ts'

/** Only where the configuration has a shared secret; otherwise the path does not exist. */
export const sharedSecretRoutes = (accounts: Accounts, secret: SharedSecret): readonly Route[] => [
  route(getRegistrationNonce, async () => ({ nonce: secret.newNonce() })),

  route(registerBySharedSecret, async ({ body }) => {
    const { nonce, username, password, admin: isAdmin = false, mac } = body
    secret.require({ nonce, username, password, isAdmin, mac })
    // Whoever provisions accounts answers for their passwords.
    const { session } = await accounts.register({ username, password, isAdmin, minPasswordLength: 1, session: {} })
    if (!session) throw new Error('a registration with a device gave no session')
    return sessionReply(session)
  }),
]
