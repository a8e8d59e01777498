import { forbidden } from '../../shared/matrix/errors.ts'
import type { Accounts } from '../accounts/index.ts'
import type { Op } from '../store/index.ts'
import type { RegistrationTokens } from './registration-tokens.ts'
import type { Policies, Terms } from './terms.ts'

type NewAccount = Parameters<Accounts['register']>[0]

/** Who may make an account of their own, and what they have to show for it. */
export interface Admission {
  /** `token`: registration is closed, and somebody was invited. */
  door(): Promise<'open' | 'token' | 'closed'>
  /** What people have to agree to; empty: nothing. */
  terms(): Promise<Policies>
  /**
   * What can be said against a registration before the client is asked to authenticate.
   * Spec: client-server-api §POST /register, errors.
   * @param guestAccessToken of the guest who wants to become a full account under their name
   * @throws MatrixError 403 M_FORBIDDEN where registration is closed; those of `accounts.requireFreeUsername`
   */
  requireMayRegister(username: string | undefined, guestAccessToken?: string): Promise<void>
  /**
   * Makes the account, and uses up the token where the door asks for one.
   * @param shown what the person has shown, and agreed to
   * @throws MatrixError 403 M_FORBIDDEN without a valid token where one is needed; 400 M_THREEPID_IN_USE; those of
   * `accounts.register`
   */
  register(
    wish: NewAccount,
    shown: {
      readonly registrationToken: string | null
      readonly accepted: Policies
      /** An address that becomes the account's. */
      readonly email?: { readonly address: string; readonly validatedTs: number } | null
    },
  ): ReturnType<Accounts['register']>
}

export function createAdmission({
  accounts,
  registrationTokens,
  terms,
}: {
  accounts: Accounts
  registrationTokens: RegistrationTokens
  terms: Terms
}): Admission {
  async function door(): Promise<'open' | 'token' | 'closed'> {
    if (accounts.isRegistrationOpen) return 'open'
    return (await registrationTokens.hasValid()) ? 'token' : 'closed'
  }

  return {
    door,
    terms: terms.policies,

    async requireMayRegister(username, guestAccessToken) {
      if ((await door()) === 'closed') throw forbidden('Registration is closed on this server')
      await accounts.requireFreeUsername(username, guestAccessToken)
    },

    async register(wish, { registrationToken, accepted, email = null }) {
      const makeWith = (opsFor: (userId: string) => readonly Op[]) => {
        const also = (userId: string) => [
          ...(wish.alsoCommit?.(userId) ?? []),
          ...opsFor(userId),
          ...terms.acceptanceOps(userId, accepted),
        ]
        return accounts.register({ ...wish, alsoCommit: also })
      }
      const make = (ops: readonly Op[]) =>
        email === null
          ? makeWith(() => ops)
          : accounts.thirdPartyIds.claim(email, (opsFor) => makeWith((userId) => [...ops, ...opsFor(userId)]))
      if (accounts.isRegistrationOpen) return make([])
      if (registrationToken === null) throw forbidden('Registration is closed on this server')
      return registrationTokens.use(registrationToken, make)
    },
  }
}
