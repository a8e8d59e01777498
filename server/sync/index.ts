/**
 * The door of `sync/`: `/sync`, filters, and who is woken when.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { E2eeForReaders } from '../e2ee/index.ts'
import type { Ephemeral } from '../ephemeral/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Push } from '../push/index.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import type { Store } from '../store/index.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { ANYBODY, deviceMark } from './batch.ts'
import { ChangeMarks } from './change-marks.ts'
import { createFilters, type Filters } from './filter-store.ts'
import { type KeyChanges, keyChanges } from './key-changes.ts'
import { LazyMembers } from './lazy-members.ts'
import { Notifier, type NotifierStats } from './notifier.ts'
import { RoomChanges } from './room-changes.ts'
import { type SlidingSyncRequest, SlidingSyncs } from './sliding.ts'
import { AccountFactsOfUsers } from './sliding-account-facts.ts'
import { BumpStamps } from './sliding-bump-stamps.ts'
import { Connections } from './sliding-connection.ts'
import { FilterFactsCache } from './sliding-filter-facts.ts'
import { RoomOrders } from './sliding-room-order.ts'
import { type SyncRequest, Syncs } from './sync.ts'

export { EventMatcher } from './event-matcher.ts'
export type { Filters } from './filter-store.ts'
export type { NotifierStats } from './notifier.ts'
export type { SyncRequest } from './sync.ts'

export interface Sync extends Disposable {
  readonly filters: Filters
  /** What has been done since the start. */
  readonly stats: Readonly<NotifierStats>
  /** How many users have a request open. */
  readonly listening: number
  /** Answers `/sync`; see `Syncs.answer`. */
  answer(request: SyncRequest): Promise<string>
  /** Answers simplified sliding sync; see `SlidingSyncs.answer`. */
  answerSliding(request: SlidingSyncRequest): Promise<string>
  /** Answers `/keys/changes`; see `keyChanges`. */
  keyChanges(userId: string, tokens: { readonly from: string; readonly to: string }): Promise<KeyChanges>
}

export function createSync(deps: {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders
  readonly accounts: AccountsForReaders
  readonly e2ee: E2eeForReaders
  readonly ephemeral: Ephemeral
  readonly push: Push
}): Sync {
  const { environment, store, rooms, accounts, e2ee, ephemeral, push } = deps
  const { position } = store
  const notifier = new Notifier(environment.clock)
  const roomChanges = new RoomChanges(position)
  const accountDataMarks = new ChangeMarks(position)
  const toDeviceMarks = new ChangeMarks(position)
  const deviceListMarks = new ChangeMarks(position)
  const filters = createFilters(store)

  /** For those who must be found first: an error there must not pass for one of whoever announced. */
  const tellLater = (finding: Promise<Iterable<string>>): void => {
    finding.then(
      (userIds) => notifier.tellAll(userIds),
      (error: unknown) => environment.logger.error({ event: 'sync.wake-failed', why: String(error) }),
    )
  }
  /** Asks from the side of those who listen: few, ours, and no room need be opened for two of our users. */
  const tellSharers = (userId: string): void => {
    for (const listener of notifier.listeners()) {
      if (listener !== userId) tellLater(rooms.shareRoom(listener, userId).then((share) => (share ? [listener] : [])))
    }
  }
  const isListening = (): boolean => notifier.listening > 0

  const subscriptions = [
    rooms.onEvent((announcement) => {
      roomChanges.add(announcement.position, announcement.roomId)
      if (isListening()) notifier.tellAll(announcement.concerned)
    }),
    rooms.onForgotten(({ userId }) => notifier.tell(userId)),
    accounts.onAccountData((change) => {
      accountDataMarks.note(change.userId, change.position)
      notifier.tell(change.userId)
    }),
    e2ee.onToDevice((message) => {
      toDeviceMarks.note(deviceMark(message.userId, message.deviceId), message.position)
      notifier.tellDevice(message.userId, message.deviceId)
    }),
    e2ee.onDeviceListChanged((change) => {
      deviceListMarks.note(ANYBODY, change.position)
      notifier.tell(change.userId)
      tellSharers(change.userId)
    }),
    ephemeral.receipts.onChange(({ roomId, userId, type, position }) => {
      roomChanges.add(position, roomId)
      notifier.tell(userId)
      if (type !== 'm.read.private' && isListening()) tellLater(rooms.joinedUsers(roomId))
    }),
    ephemeral.typing.onChange(({ roomId, isRefresh }) => {
      if (!isRefresh && isListening()) tellLater(rooms.joinedUsers(roomId))
    }),
    ephemeral.presence.onChange(({ userId }) => {
      notifier.tell(userId)
      tellSharers(userId)
    }),
  ]

  const acknowledgements = new Acknowledgements(e2ee, toDeviceMarks)
  const shared = {
    clock: environment.clock,
    store,
    rooms,
    accounts,
    e2ee,
    ephemeral,
    push,
    notifier,
    roomChanges,
    accountDataMarks,
    toDeviceMarks,
    deviceListMarks,
    acknowledgements,
    lazyMembers: new LazyMembers(),
  }
  const syncs = new Syncs({ ...shared, serial: ephemeral.serial, filters })
  const slidingSyncs = new SlidingSyncs({
    ...shared,
    connections: new Connections(ephemeral.serial.run, new LazyMembers()),
    orders: new RoomOrders(rooms, roomChanges),
    accountFacts: new AccountFactsOfUsers(accounts, accountDataMarks),
    filterFacts: new FilterFactsCache(rooms),
    bumpStamps: new BumpStamps(),
  })

  return {
    filters,
    stats: notifier.stats,
    get listening() {
      return notifier.listening
    },
    answer: (request) => syncs.answer(request),
    answerSliding: (request) => slidingSyncs.answer(request),
    keyChanges: (userId, tokens) => keyChanges({ store, e2ee, rooms }, userId, tokens),
    [Symbol.dispose]() {
      for (const end of subscriptions) end()
    },
  }
}
