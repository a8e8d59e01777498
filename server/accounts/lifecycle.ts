import { forbidden } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { type Op, orderKey, put, remove, type Store } from '../store/index.ts'
import type { Deactivation } from './contract.ts'
import type { Devices } from './devices.ts'
import { userLocked } from './errors.ts'
import { type Passwords, requireGoodPassword } from './passwords.ts'
import { type AccountRow, accountDataRows, accountRows, deactivationRows, guestRows, profileRows } from './store.ts'
import { removalOfThirdPartyIds } from './third-party-ids.ts'

/** What happens to an account and its devices after they were made. */
export interface Lifecycle {
  /** Devices that are not there are passed over. */
  removeDevices(userId: string, deviceIds: readonly string[]): Promise<void>
  /** All devices, but for one where it is named. */
  removeAllDevices(userId: string, except?: string): Promise<void>
  /**
   * Spec: client-server-api §Password management. The caller has made sure that it is the user who asks.
   * @param logOut removes the devices other than `keep`
   * @throws MatrixError 400 M_WEAK_PASSWORD, M_INVALID_PARAM; 429 M_LIMIT_EXCEEDED
   */
  changePassword(change: { userId: string; newPassword: string; logOut: boolean; keep: string | null }): Promise<void>
  /** Spec: client-server-api §Account deactivation. The name stays taken. Doing it again changes nothing. */
  deactivate(change: Deactivation): Promise<void>
  /** The same for a guest; does nothing where the account is none any more. */
  deactivateGuest(userId: string): Promise<void>
  onDeactivated(listener: (change: Deactivation) => void | Promise<void>): () => void
  /** Announces deactivations again that a stop has cut short. To be called once everybody has subscribed. */
  resume(): Promise<void>
}

export function createLifecycle({
  store,
  environment,
  passwords,
  devices,
}: {
  store: Store
  environment: Environment
  passwords: Passwords
  devices: Devices
}): Lifecycle {
  const listeners = new Set<(change: Deactivation) => void | Promise<void>>()
  const inLockOf = <T>(userId: string, work: () => Promise<T>): Promise<T> =>
    store.exclusive(`accounts:${userId}`, work)

  async function planRemovalOfAll(userId: string, except?: string | null) {
    const all = await devices.list(userId)
    return devices.planRemoval(
      userId,
      all.map((device) => device.deviceId).filter((deviceId) => deviceId !== except),
    )
  }

  /** Personal rows that go with the account. A deactivated one keeps its account data unless it is erased. */
  async function personalOps({ userId, erase }: Deactivation): Promise<readonly Op[]> {
    const ops: Op[] = [
      remove(profileRows, userId),
      remove(guestRows, userId),
      ...(await removalOfThirdPartyIds(store, userId)),
    ]
    if (!erase) return ops
    const entries = await store.home.range(accountDataRows, {
      index: 'order',
      from: orderKey(userId, 0),
      to: orderKey(userId, Number.MAX_SAFE_INTEGER),
    })
    for (const entry of entries) ops.push(remove(accountDataRows, entry.id))
    return ops
  }

  /** Tells everybody, and remembers when all have done their part. Never rejects. */
  async function announceDeactivation(change: Deactivation): Promise<void> {
    try {
      await Promise.all([...listeners].map(async (listener) => listener(change)))
      await store.commit(() => [remove(deactivationRows, change.userId)])
    } catch (error) {
      environment.logger.warn({ event: 'accounts.deactivation_unfinished', userId: change.userId, error })
    }
  }

  async function getActive(userId: string): Promise<AccountRow> {
    const row = await store.home.get(accountRows, userId)
    if (!row || row.isDeactivated) throw forbidden('This account has been deactivated')
    if (row.isLocked) throw userLocked()
    return row
  }

  async function findGuest(userId: string): Promise<AccountRow | undefined> {
    return (await store.home.get(guestRows, userId)) && store.home.get(accountRows, userId)
  }

  async function removeWhere(userId: string, plan: () => ReturnType<Devices['planRemoval']>): Promise<void> {
    await inLockOf(userId, async () => {
      const { ops, done } = await plan()
      if (ops.length === 0) return
      await store.commit(() => ops)
      done()
    })
  }

  /** @param findRow asked in the lock of the user; `undefined`: there is nobody to deactivate */
  async function deactivate(
    { userId, erase }: Deactivation,
    findRow: (userId: string) => Promise<AccountRow | undefined>,
  ): Promise<void> {
    const change = { userId, erase }
    const isDone = await inLockOf(userId, async () => {
      const account = await findRow(userId)
      if (!account) return false
      const removal = await planRemovalOfAll(userId)
      const personal = await personalOps(change)
      await store.commit(() => [
        put(accountRows, { ...account, passwordHash: null, isAdmin: false, isDeactivated: true, isErased: erase }),
        put(deactivationRows, change),
        ...removal.ops,
        ...personal,
      ])
      removal.done()
      return true
    })
    // Leaving many rooms takes its time; the account itself is gone already.
    if (isDone) void announceDeactivation(change)
  }

  return {
    removeDevices: (userId, deviceIds) => removeWhere(userId, () => devices.planRemoval(userId, deviceIds)),
    removeAllDevices: (userId, except) => removeWhere(userId, () => planRemovalOfAll(userId, except)),

    async changePassword({ userId, newPassword, logOut, keep }) {
      requireGoodPassword(newPassword)
      const passwordHash = await passwords.hash(newPassword)
      await inLockOf(userId, async () => {
        const account = await getActive(userId)
        const removal = logOut ? await planRemovalOfAll(userId, keep) : undefined
        await store.commit(() => [put(accountRows, { ...account, passwordHash }), ...(removal?.ops ?? [])])
        removal?.done()
      })
    },

    deactivate: (change) => deactivate(change, getActive),
    deactivateGuest: (userId) => deactivate({ userId, erase: false }, findGuest),

    onDeactivated(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async resume() {
      for (const { userId, erase } of await store.home.range(deactivationRows, { index: 'userId' })) {
        void announceDeactivation({ userId, erase })
      }
    },
  }
}
