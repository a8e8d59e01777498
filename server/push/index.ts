/**
 * The door of `push/`: push rules, whom a user ignores, unread counts; pushers and what goes out by them; our own push gateway.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Ephemeral } from '../ephemeral/index.ts'
import type { Mail } from '../mail/index.ts'
import type { Outbound } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Rooms, RoomsForReaders } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import { createUnread, type Unread } from './counts.ts'
import { Slots } from './delivery.ts'
import { Dispatch, type DispatchParts } from './dispatch.ts'
import { createPushGateway, type PushGateway } from './gateway.ts'
import { HttpDelivery } from './http-delivery.ts'
import { createIgnoredUsers, type IgnoredUsers } from './ignored-users.ts'
import { MailDelivery } from './mail-delivery.ts'
import { createNotifications, type Notifications } from './notifications.ts'
import { createPushClient } from './push-client.ts'
import { createPushRules, type PushRules } from './push-rules.ts'
import { type FindMailAddress, openPushers, type Pushers } from './pushers.ts'
import { createVapidKeys } from './vapid-keys.ts'

export type { Counts, Unread } from './counts.ts'
export type { PushGateway } from './gateway.ts'
export type { IgnoredUsers } from './ignored-users.ts'
export type { Notifications } from './notifications.ts'
export type { PushRules } from './push-rules.ts'
export type { Pusher } from './pusher.ts'
export type { Pushers } from './pushers.ts'

/** Requests to push gateways at a time, of all pushers. */
const MAX_REQUESTS = 32

export interface Push extends AsyncDisposable {
  readonly rules: PushRules
  readonly ignored: IgnoredUsers
  readonly unread: Unread
  readonly pushers: Pushers
  readonly notifications: Notifications
  readonly gateway: PushGateway
  /** Begins to push, with what came while the server was down; to be called when all have subscribed. */
  resume(): Promise<void>
}

export async function createPush(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders & Pick<Rooms, 'changedSince'>
  readonly accounts: AccountsForReaders
  readonly ephemeral: Pick<Ephemeral, 'receipts'>
  readonly outbound: Outbound
  /** Without it no mail is sent. */
  readonly mail: Mail | undefined
  readonly findMailAddress: FindMailAddress
  /** Where clients reach this server. */
  readonly baseUrl: () => string | null
}): Promise<Push> {
  const { environment, store, rooms, accounts, ephemeral, outbound, mail, baseUrl } = deps
  const { receipts } = ephemeral
  const rules = createPushRules(accounts, store)
  const ignored = createIgnoredUsers(accounts)
  const unread = createUnread({ rooms, accounts, receipts, pushRules: rules, ignored })
  const ownOrigin = (): string | null => originOf(baseUrl())
  const findMailAddress = mail && deps.findMailAddress
  const pushers = await openPushers({ environment, store, accounts, ownOrigin, findMailAddress })
  const vapid = createVapidKeys({ store, random: environment.random, contact: () => contactOf(baseUrl()) })
  const gateway = createPushGateway({ clock: environment.clock, outbound, vapid, isKnown: pushers.isKnown })
  const send = createPushClient({ outbound, gateway, ownOrigin })
  const slots = new Slots(MAX_REQUESTS)

  const makeDelivery: DispatchParts['makeDelivery'] = ({ recipient, pusher, progress, onProgress, saveProgress }) => {
    const shared = { environment, recipient, onProgress }
    if (pusher.kind === 'http') {
      return new HttpDelivery({ ...shared, send, slots, onRejected: pushers.remove }, pusher, progress)
    }
    if (!mail || !findMailAddress) return undefined
    const parts = { ...shared, mail, findMailAddress, baseUrl, saveProgress, onAddressGone: pushers.remove }
    return new MailDelivery(parts, pusher, progress)
  }
  const dispatch = new Dispatch({
    environment,
    store,
    rooms,
    accounts,
    receipts,
    unread,
    rules,
    ignored,
    pushers,
    makeDelivery,
  })

  return {
    rules,
    ignored,
    unread,
    pushers,
    notifications: createNotifications({ rooms, unread, rules, ignored }),
    gateway,
    async resume() {
      await pushers.sweep()
      await dispatch.start()
    },
    async [Symbol.asyncDispose]() {
      await dispatch[Symbol.asyncDispose]()
      pushers[Symbol.dispose]()
      unread[Symbol.dispose]()
      ignored[Symbol.dispose]()
      rules[Symbol.dispose]()
    },
  }
}

const originOf = (baseUrl: string | null): string | null => (baseUrl === null ? null : new URL(baseUrl).origin)

/** RFC 8292 asks for an `https:` or `mailto:` URL; push services refuse others. */
function contactOf(baseUrl: string | null): string {
  if (baseUrl?.startsWith('https://')) return `${originOf(baseUrl)}/`
  return `mailto:postmaster@${baseUrl === null ? 'localhost' : new URL(baseUrl).hostname}`
}
