import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, put, type Store } from '../store/index.ts'
import type { Session, SessionRequest } from './contract.ts'
import { type Devices, type Planned, requireValidSessionRequest } from './devices.ts'
import type { Guests } from './guests.ts'
import { type Passwords, requireGoodPassword } from './passwords.ts'
import { accountRows, appserviceUserRows, guestRows } from './store.ts'
import { randomUserId, userIdForUsername } from './usernames.ts'

const exclusive = (): MatrixError =>
  new MatrixError('M_EXCLUSIVE', 400, 'This username is reserved by an application service')
const userInUse = (): MatrixError => new MatrixError('M_USER_IN_USE', 400, 'This username is already taken')

/** A wish for a new account. */
export interface NewAccount {
  /** Without it the server makes up a name. */
  readonly username?: string | undefined
  /** `null`: nobody can log in by password; for users of application services alone. */
  readonly password: string | null
  readonly isAdmin?: boolean
  /** Characters that the password must have; our minimum for people when not given. */
  readonly minPasswordLength?: number
  /** Refuses with 403 M_FORBIDDEN where any account exists already. */
  readonly onlyAsFirst?: boolean
  /** The application service that makes the account, and that has been found to be allowed to. */
  readonly appserviceId?: string
  /** A guest account. Spec: client-server-api §Guest Access. */
  readonly isGuest?: boolean
  /** Of the guest who becomes this account, keeping the user ID. */
  readonly guestAccessToken?: string | undefined
  /** `null`: no device, no tokens. */
  readonly session: SessionRequest | null
  /** Written in the same commit, for what must not be there without the account. */
  readonly alsoCommit?: (userId: string) => readonly Op[]
}

export interface Registration {
  /**
   * @returns the user ID that registering this name now would give
   * @throws MatrixError 400 M_INVALID_USERNAME, M_USER_IN_USE, M_EXCLUSIVE
   */
  requireAvailable(username: string): Promise<string>
  /**
   * Makes the account, its first device and tokens in one commit.
   * @throws MatrixError 400 M_INVALID_USERNAME, M_USER_IN_USE, M_EXCLUSIVE, M_WEAK_PASSWORD, M_INVALID_PARAM; 429 M_LIMIT_EXCEEDED;
   * for guests who become full accounts those of `Guests.requireUpgradable`
   */
  register(wish: NewAccount): Promise<{ readonly userId: string; readonly session: Session | null }>
  /** Whether any account was ever made, those of application services aside. */
  hasAccounts(): Promise<boolean>
}

export function createRegistration({
  store,
  environment,
  passwords,
  devices,
  guests,
  isReserved,
}: {
  store: Store
  environment: Environment
  passwords: Passwords
  devices: Devices
  guests: Guests
  isReserved: (userId: string) => boolean
}): Registration {
  const { serverName, random, clock } = environment
  const isTaken = async (userId: string): Promise<boolean> => (await store.home.get(accountRows, userId)) !== undefined
  const hasAccounts = async (): Promise<boolean> =>
    (await store.home.count(accountRows)) > (await store.home.count(appserviceUserRows))

  async function requireAvailable(username: string, appserviceId?: string): Promise<string> {
    const userId = userIdForUsername(username, serverName)
    if (appserviceId === undefined && isReserved(userId)) throw exclusive()
    if (await isTaken(userId)) throw userInUse()
    return userId
  }

  async function requireFirst(): Promise<void> {
    if (await hasAccounts()) throw new MatrixError('M_FORBIDDEN', 403, 'This home has been claimed already')
  }

  function userIdFor({ username, appserviceId, guestAccessToken }: NewAccount): string | Promise<string> {
    if (guestAccessToken !== undefined) return guests.requireUpgradable(username, guestAccessToken)
    return username === undefined ? randomUserId(serverName, random) : requireAvailable(username, appserviceId)
  }

  /** `undefined` where nobody was a guest. */
  async function upgradeOf(userId: string, wish: NewAccount): Promise<Planned | undefined> {
    return wish.guestAccessToken === undefined ? undefined : guests.planUpgrade(userId, wish.session)
  }

  return {
    requireAvailable: (username) => requireAvailable(username),
    hasAccounts,
    async register(wish) {
      if (wish.session) requireValidSessionRequest(wish.session)
      if (wish.password !== null) requireGoodPassword(wish.password, wish.minPasswordLength)
      if (wish.onlyAsFirst) await requireFirst()
      const userId = await userIdFor(wish)
      const passwordHash = wish.password === null ? null : await passwords.hash(wish.password)
      const { appserviceId } = wish

      const make = async (): Promise<Awaited<ReturnType<Registration['register']>>> => {
        if (wish.onlyAsFirst) await requireFirst()
        const upgrade = await upgradeOf(userId, wish)
        const guest = upgrade && (await store.home.get(accountRows, userId))
        if (!guest && (await isTaken(userId))) throw userInUse()
        const account = put(accountRows, {
          isDeactivated: false,
          isErased: false,
          isLocked: false,
          isSuspended: false,
          createdTs: clock.now(),
          // What administrators have said of a guest holds on.
          ...guest,
          userId,
          passwordHash,
          isAdmin: wish.isAdmin ?? false,
        })
        const planned = wish.session ? await devices.planSession(userId, wish.session) : undefined
        await store.commit(() => [
          account,
          ...(appserviceId === undefined ? [] : [put(appserviceUserRows, { userId, appserviceId })]),
          ...(wish.isGuest ? [put(guestRows, { userId, createdTs: clock.now() })] : []),
          ...(upgrade?.ops ?? []),
          ...(planned?.ops ?? []),
          ...(wish.alsoCommit?.(userId) ?? []),
        ])
        upgrade?.done()
        planned?.done()
        return { userId, session: planned?.session ?? null }
      }
      // One lock for all names: "the first account" is a question about all of them. It is held for one commit.
      return store.exclusive('accounts:create', () => store.exclusive(`accounts:${userId}`, make))
    },
  }
}
