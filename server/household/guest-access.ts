import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Accounts, Session } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import { put, remove, type Store } from '../store/index.ts'
import { guestAccessRows } from './store.ts'

const DAY_MS = 24 * 60 * 60_000
/** A guest who was not seen for so long is gone: their token was all that they had. */
const UNUSED_AFTER_MS = 30 * DAY_MS
const SWEEP_INTERVAL_MS = 6 * 60 * 60_000
/** Guests at one time. Anybody can become one, and each takes a name and a few rows. */
const MAX_GUESTS = 1_000

/** Whether strangers may look in without an account. Off until an administrator turns it on. Spec: client-server-api §Guest Access. */
export interface GuestAccess extends AsyncDisposable {
  isAllowed(): Promise<boolean>
  /** How many there are. */
  count(): Promise<number>
  /** Who turns it off deactivates all guests: they leave their rooms, a little after this has resolved. */
  set(isAllowed: boolean): Promise<void>
  /**
   * A new guest, with a device that the server names and a token that does not expire.
   * @throws MatrixError 403 M_GUEST_ACCESS_FORBIDDEN while it is off, or the home is full of guests; 400 M_INVALID_PARAM for a bad name of the device
   */
  register(deviceDisplayName: string | undefined): Promise<Session>
  /** Begins to deactivate guests who are not used any more. To be called once everybody has subscribed to `accounts`. */
  resume(): void
}

export function createGuestAccess({
  environment: { clock, logger },
  store,
  accounts,
}: {
  environment: Environment
  store: Store
  accounts: Pick<Accounts, 'register' | 'listGuests' | 'listDevices' | 'findAccount' | 'deactivateGuest'>
}): GuestAccess {
  let cancelTimer: (() => void) | undefined
  let sweeping: Promise<void> = Promise.resolve()
  let isClosed = false

  const refused = (why: string): MatrixError => new MatrixError('M_GUEST_ACCESS_FORBIDDEN', 403, why)
  const isAllowed = async (): Promise<boolean> => (await store.home.get(guestAccessRows, 'guest-access')) !== undefined
  const inLock = <T>(work: () => Promise<T>): Promise<T> => store.exclusive('household:guests', work)

  async function isUnused(userId: string): Promise<boolean> {
    const [account, devices] = await Promise.all([accounts.findAccount(userId), accounts.listDevices(userId)])
    // Whoever has logged out has no way back.
    if (devices.length === 0) return true
    const seenTs = Math.max(account?.createdTs ?? 0, ...devices.map(({ lastSeenTs }) => lastSeenTs ?? 0))
    return seenTs < clock.now() - UNUSED_AFTER_MS
  }

  async function sweep(): Promise<void> {
    const areAllUnwanted = !(await isAllowed())
    for (const userId of await accounts.listGuests()) {
      if (isClosed) return
      if (areAllUnwanted || (await isUnused(userId))) await accounts.deactivateGuest(userId)
    }
  }

  function startSweep(): void {
    cancelTimer?.()
    if (isClosed) return
    sweeping = sweeping.then(sweep).catch((error: unknown) => {
      logger.warn({ event: 'household.guests_not_swept', error: String(error) })
    })
    cancelTimer = clock.after(SWEEP_INTERVAL_MS, startSweep)
  }

  return {
    isAllowed,
    count: async () => (await accounts.listGuests()).length,

    async set(wanted) {
      await inLock(async () => {
        if (wanted === (await isAllowed())) return
        await store.commit(() => [
          wanted ? put(guestAccessRows, { id: 'guest-access' }) : remove(guestAccessRows, 'guest-access'),
        ])
      })
      if (!wanted) startSweep()
    },

    register: (initialDeviceDisplayName) =>
      inLock(async () => {
        if (!(await isAllowed())) throw refused('This server has no guest accounts')
        if ((await accounts.listGuests()).length >= MAX_GUESTS) throw refused('There are too many guests at the moment')
        const { session } = await accounts.register({
          password: null,
          isGuest: true,
          session: { initialDeviceDisplayName },
        })
        if (!session) throw new Error('a registration with a device gave no session')
        return session
      }),

    resume: startSweep,

    async [Symbol.asyncDispose]() {
      isClosed = true
      cancelTimer?.()
      await sweeping
    },
  }
}
