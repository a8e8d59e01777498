import { forbidden, invalidParam } from '../../shared/matrix/errors.ts'
import type { Accounts, Requester, Session, SessionRequest } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type Admission, createAdmission } from './admission.ts'
import { isClaimCode } from './claim-code.ts'
import { createGuestAccess, type GuestAccess } from './guest-access.ts'
import { createRegistrationTokens, type RegistrationTokens } from './registration-tokens.ts'
import { claimCodeRows, homeRows } from './store.ts'
import { createTerms, type Terms } from './terms.ts'
import { newCode } from './typed-code.ts'

/** Characters of the home's name. */
const MAX_NAME_LENGTH = 100

/** What anyone may know of the home. */
export interface HomeDescription {
  /** `null` until it is claimed, or where accounts were made in another way. */
  readonly name: string | null
  readonly isClaimed: boolean
  readonly registration: 'open' | 'token' | 'closed'
  readonly serverName: string
}

export interface Claim {
  readonly name: string
  readonly username: string
  readonly password: string
  readonly code: string
  readonly session: SessionRequest
}

export interface Household {
  readonly registrationTokens: RegistrationTokens
  readonly guestAccess: GuestAccess
  readonly terms: Terms
  readonly admission: Admission
  describe(): Promise<HomeDescription>
  /**
   * What whoever claims the home must know: made at the first start, for the app that starts the server.
   * @returns `null` once the home is claimed, or has been found to have accounts
   */
  claimCode(): string | null
  /**
   * Makes the first account, an administrator, and names the home; all in one commit, and only one of several at once succeeds.
   * The code is always asked for: a reverse proxy on this machine, and any page in a browser on it, look like neighbors, too.
   * @throws MatrixError 403 M_FORBIDDEN for a wrong code or when there is an account; those of `accounts.register`
   */
  claim(claim: Claim): Promise<Session>
  /** @throws MatrixError 403 M_FORBIDDEN for anyone but administrators; 400 M_INVALID_PARAM */
  rename(name: string, by: Requester): Promise<void>
}

/** @throws MatrixError 400 M_INVALID_PARAM */
function requireName(wish: string): string {
  const name = wish.trim()
  if (name === '' || [...name].length > MAX_NAME_LENGTH || /\p{Cc}/u.test(name)) {
    throw invalidParam(`The name of a home has 1 to ${MAX_NAME_LENGTH} characters`)
  }
  return name
}

export async function createHousehold({
  environment,
  store,
  accounts,
}: {
  environment: Environment
  store: Store
  accounts: Accounts
}): Promise<Household> {
  let code = (await accounts.hasAccounts()) ? null : await keptCode(environment, store)
  const registrationTokens = createRegistrationTokens({ environment, store })
  const terms = createTerms({ environment, store })
  const guestAccess = createGuestAccess({ environment, store, accounts })

  const admission = createAdmission({ accounts, registrationTokens, terms })

  return {
    registrationTokens,
    guestAccess,
    terms,
    admission,

    async describe() {
      const row = await store.home.get(homeRows, 'home')
      const isClaimed = await accounts.hasAccounts()
      if (isClaimed) code = null
      return {
        name: row?.name ?? null,
        isClaimed,
        registration: await admission.door(),
        serverName: environment.serverName,
      }
    },

    claimCode: () => code,

    async claim({ name: wish, username, password, code: given, session: request }) {
      if (code === null || (await accounts.hasAccounts())) {
        code = null
        throw forbidden('This home has been claimed already')
      }
      if (!isClaimCode(given, code)) throw forbidden('Wrong claim code')
      const name = requireName(wish)
      const { session } = await accounts.register({
        username,
        password,
        isAdmin: true,
        onlyAsFirst: true,
        session: request,
        alsoCommit: () => [put(homeRows, { id: 'home', name }), remove(claimCodeRows, 'claim-code')],
      })
      code = null
      if (!session) throw new Error('a registration with a device gave no session')
      return session
    },

    async rename(wish, by) {
      if (!by.isAdmin) throw forbidden('Only administrators may name the home')
      const name = requireName(wish)
      await store.commit(() => [put(homeRows, { id: 'home', name })])
    },
  }
}

async function keptCode(environment: Environment, store: Store): Promise<string> {
  const row = await store.home.get(claimCodeRows, 'claim-code')
  if (row) return row.code
  const code = newCode(environment.random)
  await store.commit(() => [put(claimCodeRows, { id: 'claim-code', code })])
  return code
}
