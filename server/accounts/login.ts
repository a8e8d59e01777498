import { forbidden, type MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { put, type Store } from '../store/index.ts'
import type { Session, SessionRequest, UserIdentifier } from './contract.ts'
import { type Devices, requireValidSessionRequest } from './devices.ts'
import { userLocked } from './errors.ts'
import { type Passwords, requireHashable } from './passwords.ts'
import { type AccountRow, accountRows } from './store.ts'
import { canonicalEmail, type ThirdPartyIds } from './third-party-ids.ts'
import { candidateUserIds } from './usernames.ts'

const MAX_COUNTED_LENGTH = 255

/** Counts an attempt to prove the password of an account. @throws MatrixError 429 M_LIMIT_EXCEEDED */
export type AttemptLimit = (attempt: { readonly userId: string; readonly ip: string }) => void

export interface PasswordProof {
  readonly identifier: UserIdentifier
  readonly password: string
  readonly ip: string
}

export interface Login {
  /**
   * Whose password this is. Takes the same time whether or not there is such a user.
   * @returns the user ID; `undefined` where user and password do not fit together
   * @throws MatrixError 429 M_LIMIT_EXCEEDED, 400 M_INVALID_PARAM for a password longer than any account's
   */
  findByPassword(proof: PasswordProof): Promise<string | undefined>
  /**
   * Spec: client-server-api §Login.
   * @throws MatrixError 403 M_FORBIDDEN, 401 M_USER_LOCKED, besides those of `findByPassword` and of a bad device
   */
  logIn(proof: PasswordProof, session: SessionRequest): Promise<Session>
}

export function createLogin({
  store,
  environment,
  passwords,
  devices,
  limitAttempts,
  findByThirdPartyId,
}: {
  store: Store
  environment: Environment
  passwords: Passwords
  devices: Devices
  limitAttempts: AttemptLimit
  findByThirdPartyId: ThirdPartyIds['findOwner']
}): Login {
  async function findAccount(identifier: UserIdentifier): Promise<{ countedAs: string; row: AccountRow | undefined }> {
    const isAddress = identifier.type === 'm.id.thirdparty'
    const owner = isAddress ? await findByThirdPartyId(identifier.medium, identifier.address) : undefined
    const named = identifier.type === 'm.id.user' ? candidateUserIds(identifier.user, environment.serverName) : []
    for (const userId of owner === undefined ? named : [owner]) {
      const row = await store.home.get(accountRows, userId)
      if (row) return { countedAs: userId, row }
    }
    // Unknown names are counted by what was asked for, so that limits tell no more than answers do.
    const asked = isAddress ? canonicalEmail(identifier.address.slice(0, MAX_COUNTED_LENGTH)) : named.at(-1)
    return { countedAs: asked ?? '', row: undefined }
  }

  /** Hashes made at a lower cost are renewed when the password is at hand. */
  async function renewHash(row: AccountRow, password: string): Promise<void> {
    const passwordHash = await passwords.hash(password)
    await store.exclusive(`accounts:${row.userId}`, async () => {
      const now = await store.home.get(accountRows, row.userId)
      if (now?.passwordHash !== row.passwordHash) return
      await store.commit(() => [put(accountRows, { ...now, passwordHash })])
    })
  }

  async function findRow({ identifier, password, ip }: PasswordProof): Promise<AccountRow | undefined> {
    requireHashable(password)
    const { countedAs, row } = await findAccount(identifier)
    limitAttempts({ userId: countedAs, ip })
    const isRight = await passwords.matches(password, row?.passwordHash ?? null)
    if (!row?.passwordHash || !isRight) return undefined
    if (passwords.isOutdated(row.passwordHash)) await renewHash(row, password)
    return row
  }

  const wrong = (): MatrixError => forbidden('Wrong username or password')

  return {
    findByPassword: async (proof) => (await findRow(proof))?.userId,
    async logIn(proof, session) {
      requireValidSessionRequest(session)
      const found = await findRow(proof)
      if (!found) throw wrong()
      return store.exclusive(`accounts:${found.userId}`, async () => {
        const account = await store.home.get(accountRows, found.userId)
        // The password may have been changed, or the account deactivated, while this one was checked.
        if (!account || account.isDeactivated) throw wrong()
        if (account.isLocked) throw userLocked()
        const { ops, session: fresh, done } = await devices.planSession(found.userId, session)
        await store.commit(() => ops)
        done()
        return fresh
      })
    },
  }
}
