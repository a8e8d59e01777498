/**
 * The pushers of all users: made and removed durably, and all in memory, so that a message in a room costs nothing for users
 * who have none. A pusher dies with the device whose access token set it, and with the account.
 */
import { invalidParam, MatrixError } from '../../shared/matrix/errors.ts'
import type { AccountsForReaders, Requester } from '../accounts/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import {
  type Pusher,
  type PusherKind,
  type PusherRequest,
  type PusherWish,
  pusherId,
  readPusherWish,
  requirePusherName,
} from './pusher.ts'
import { type PusherRow, progressRows, pusherRows } from './store.ts'

const MAX_OF_USER = 100
/** A device that sets another one loses its oldest: apps get new push keys without ending the old ones. */
const MAX_OF_DEVICE = 10
/** One lock: a pusher that is set may take away other users'. */
const LOCK = 'pushers'

/**
 * The address that mail goes to where a user asks for it to this one: their own, in the spelling that they have proved;
 * `undefined` for any other. Without it no mail is sent at all.
 */
export type FindMailAddress = (userId: string, address: string) => Promise<string | undefined>

export interface PusherChange {
  readonly added: readonly Pusher[]
  readonly removed: readonly Pusher[]
}

export interface Pushers extends Disposable {
  /** Oldest first. */
  of(userId: string): readonly Pusher[]
  users(): Iterable<string>
  readonly userCount: number
  hasUser(userId: string): boolean
  /** Whether somebody here has a pusher of these names. */
  isKnown(appId: string, pushkey: string): boolean
  /**
   * Makes, changes or, with `kind` null, removes a pusher; removing one that is not there changes nothing.
   * @throws MatrixError 400 M_MISSING_PARAM, M_INVALID_PARAM, M_THREEPID_NOT_FOUND
   */
  set(requester: Pick<Requester, 'userId' | 'deviceId'>, request: PusherRequest): Promise<void>
  remove(pusher: Pusher): Promise<void>
  /** Ends the mails that the key was sent with. @returns whether there were any */
  unsubscribe(key: string): Promise<boolean>
  findByUnsubscribeKey(key: string): Pusher | undefined
  /** Removes those whose device or account is gone, which a stop may have kept from being removed in time. */
  sweep(): Promise<void>
  onChange(listener: (change: PusherChange) => void): void
}

export async function openPushers(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly accounts: AccountsForReaders
  readonly ownOrigin: () => string | null
  readonly findMailAddress: FindMailAddress | undefined
}): Promise<Pushers> {
  const { environment, store, accounts } = deps
  const byUser = new Map<string, Map<string, Pusher>>()
  const listeners: ((change: PusherChange) => void)[] = []
  for (const row of await store.home.range(pusherRows, { index: 'id' })) keep(pusherOf(row))

  function keep(pusher: Pusher): void {
    const pushers = byUser.get(pusher.userId) ?? new Map<string, Pusher>()
    pushers.set(pusher.id, pusher)
    byUser.set(pusher.userId, pushers)
  }

  function forget(pusher: Pusher): void {
    const pushers = byUser.get(pusher.userId)
    pushers?.delete(pusher.id)
    if (pushers?.size === 0) byUser.delete(pusher.userId)
  }

  function all(): readonly Pusher[] {
    return [...byUser.values()].flatMap((pushers) => [...pushers.values()])
  }

  const of = (userId: string): readonly Pusher[] => [...(byUser.get(userId)?.values() ?? [])]

  /** Called in the lock. */
  async function apply(removed: readonly Pusher[], row?: Omit<PusherRow, 'position'>): Promise<void> {
    if (removed.length === 0 && row === undefined) return
    const position = await store.commit((position): readonly Op[] => [
      ...removed.flatMap(({ id }) => [remove(pusherRows, id), remove(progressRows, id)]),
      ...(row ? [put(pusherRows, { ...row, position })] : []),
    ])
    for (const pusher of removed) forget(pusher)
    const added = row ? [pusherOf({ ...row, position })] : []
    for (const pusher of added) keep(pusher)
    for (const listener of listeners) listener({ added, removed })
  }

  /** Removes those that are still there when it is their turn. */
  const removeAll = (which: (pusher: Pusher) => boolean): Promise<void> =>
    store.exclusive(LOCK, () => apply(all().filter(which)))

  async function requireMailAllowed(userId: string, address: string): Promise<void> {
    if (!deps.findMailAddress) throw invalidParam('This server sends no mail')
    if ((await deps.findMailAddress(userId, address)) !== undefined) return
    throw new MatrixError('M_THREEPID_NOT_FOUND', 400, 'This e-mail address is not one of your account')
  }

  /** Others that go when this one comes. */
  function inTheWay(next: PusherWish, by: Pick<Requester, 'userId' | 'deviceId'>, append: boolean): readonly Pusher[] {
    const id = pusherId(by.userId, next.appId, next.pushkey)
    const others = append
      ? []
      : all().filter(
          ({ userId, appId, pushkey }) => userId !== by.userId && appId === next.appId && pushkey === next.pushkey,
        )
    const own = of(by.userId).filter((pusher) => pusher.id !== id)
    if (own.length >= MAX_OF_USER) throw invalidParam(`There are ${MAX_OF_USER} pushers already`)
    const ofDevice = own.filter(({ deviceId }) => deviceId !== null && deviceId === by.deviceId)
    const oldest = ofDevice
      .toSorted((a, b) => a.setTs - b.setTs)
      .slice(0, Math.max(0, ofDevice.length + 1 - MAX_OF_DEVICE))
    return [...others, ...oldest]
  }

  const subscriptions = [
    accounts.onDeviceRemoved(({ userId, deviceId }) => {
      if (!of(userId).some((pusher) => pusher.deviceId === deviceId)) return
      removeAll((pusher) => pusher.userId === userId && pusher.deviceId === deviceId).catch((error: unknown) => {
        // The next start sweeps it away; until then the device is not pushed to any more.
        environment.logger.error({ event: 'push.pusher-not-removed', userId, error })
      })
    }),
    accounts.onDeactivated(({ userId }) => removeAll((pusher) => pusher.userId === userId)),
  ]

  return {
    of,
    users: () => byUser.keys(),
    get userCount() {
      return byUser.size
    },
    hasUser: (userId) => byUser.has(userId),
    isKnown: (appId, pushkey) => all().some((pusher) => pusher.appId === appId && pusher.pushkey === pushkey),

    async set(requester, request) {
      const { userId, deviceId } = requester
      const { app_id: appId, pushkey } = request
      requirePusherName(appId, pushkey)
      const id = pusherId(userId, appId, pushkey)
      if (request.kind === null) return removeAll((pusher) => pusher.id === id)
      const wish = readPusherWish(request, deps.ownOrigin())
      if (wish.kind === 'email') await requireMailAllowed(userId, wish.pushkey)
      await store.exclusive(LOCK, async () => {
        const before = byUser.get(userId)?.get(id)
        const isNewMail = wish.kind === 'email' && !before?.unsubscribeKey
        await apply(inTheWay(wish, requester, request.append ?? false), {
          ...wish,
          id,
          userId,
          data: JSON.stringify(wish.data),
          deviceId,
          setTs: environment.clock.now(),
          unsubscribeKey: isNewMail
            ? environment.random.bytes(32).toString('base64url')
            : (before?.unsubscribeKey ?? null),
        })
      })
      // A log-out that came in between found nothing to remove.
      if (deviceId !== null && !(await accounts.findDevice(userId, deviceId))) {
        await removeAll((pusher) => pusher.id === id && pusher.deviceId === deviceId)
      }
    },

    remove: ({ id, setTs }) => removeAll((pusher) => pusher.id === id && pusher.setTs === setTs),

    async unsubscribe(key) {
      const isThere = all().some((pusher) => pusher.unsubscribeKey === key)
      await removeAll((pusher) => pusher.unsubscribeKey === key)
      return isThere
    },

    findByUnsubscribeKey: (key) => all().find((pusher) => pusher.unsubscribeKey === key),

    async sweep() {
      const gone = new Set<string>()
      for (const { id, userId, deviceId } of all()) {
        const account = await accounts.findAccount(userId)
        const hasDevice = deviceId === null || (await accounts.findDevice(userId, deviceId)) !== undefined
        if (!account || account.isDeactivated || !hasDevice) gone.add(id)
      }
      if (gone.size > 0) await removeAll(({ id }) => gone.has(id))
    },

    onChange(listener) {
      listeners.push(listener)
    },

    [Symbol.dispose]() {
      for (const end of subscriptions) end()
    },
  }
}

function pusherOf(row: PusherRow): Pusher {
  return { ...row, kind: row.kind as PusherKind, data: JSON.parse(row.data) as JsonObject }
}
