/**
 * Finds out who is to be told of what, and gives it to the deliveries of their pushers. Rooms are looked at after their
 * events are on disk, each once however many came, and only for users who have pushers.
 * Spec: client-server-api §Push Notifications, Server behaviour.
 */
import type { AccountsForReaders } from '../accounts/index.ts'
import type { Receipts } from '../ephemeral/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { EventAnnouncement, Rooms, RoomsForReaders, RoomView } from '../rooms/index.ts'
import { put, type Store } from '../store/index.ts'
import type { Unread } from './counts.ts'
import type { Delivery } from './delivery.ts'
import type { IgnoredUsers } from './ignored-users.ts'
import { findRoom, type InviteScene, inviteScene } from './invite-scene.ts'
import { judge } from './judge.ts'
import type { PushRules } from './push-rules.ts'
import type { Pusher } from './pusher.ts'
import type { Pushers } from './pushers.ts'
import { Recipient } from './recipient.ts'
import { type ProgressRow, progressRows } from './store.ts'

/** How far deliveries have come is written so long after something went out. */
const WRITE_DELAY_MS = 5_000
/** Of those that nothing went out by, when it is so far from what is on the disk: a start looks at all rooms since then. */
const POSITIONS_BETWEEN_WRITES = 1_000

export interface DispatchParts {
  readonly environment: Environment
  readonly store: Store
  readonly rooms: RoomsForReaders & Pick<Rooms, 'changedSince'>
  readonly accounts: AccountsForReaders
  readonly receipts: Receipts
  readonly unread: Unread
  readonly rules: PushRules
  readonly ignored: IgnoredUsers
  readonly pushers: Pushers
  /** @returns `undefined` for a pusher of a kind that cannot be served now */
  readonly makeDelivery: (made: {
    readonly recipient: Recipient
    readonly pusher: Pusher
    readonly progress: ProgressRow | undefined
    readonly onProgress: () => void
    readonly saveProgress: () => Promise<void>
  }) => Delivery | undefined
}

/** What there is to be looked at in a room. */
interface Change {
  /** There are events that anybody may be told of. */
  isForAll: boolean
  /** Only for these users. */
  readonly users: Set<string>
  /** By user, the event that invites them. */
  readonly invites: Map<string, string>
}

interface Person {
  readonly recipient: Recipient
  /** By pusher. */
  readonly deliveries: Map<string, Delivery>
}

export class Dispatch implements AsyncDisposable {
  readonly #parts: DispatchParts
  readonly #people = new Map<string, Person>()
  readonly #changes = new Map<string, Change>()
  readonly #subscriptions: (() => void)[] = []
  readonly #closings = new Set<Promise<void>>()
  /** The newest stream position that was told of, and that up to which all rooms were looked at. */
  #announced = 0
  #examined = 0
  /** All deliveries have this on the disk, or more. */
  #written = 0
  #isStarted = false
  #isClosed = false
  #turn: Promise<void> | undefined
  #cancelWrite: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(parts: DispatchParts) {
    this.#parts = parts
    const { rooms, receipts, accounts, pushers } = parts
    this.#subscriptions.push(
      rooms.onEvent((announcement) => this.#onEvent(announcement)),
      receipts.onChange(({ roomId, userId }) => {
        if (pushers.hasUser(userId)) this.#change(roomId).users.add(userId)
      }),
      accounts.onAccountData(({ userId, roomId, type }) => {
        if (roomId !== null || (type !== 'm.push_rules' && type !== 'm.ignored_user_list')) return
        const rooms = this.#people.get(userId)?.recipient.roomsToRecount() ?? []
        for (const id of rooms) this.#change(id).users.add(userId)
      }),
    )
    pushers.onChange(({ added, removed }) => {
      for (const pusher of removed) this.#removed(pusher)
      for (const pusher of added) this.#added(pusher, undefined)
    })
  }

  /** Begins, with what came while the server was down. */
  async start(): Promise<void> {
    const { store, rooms, pushers } = this.#parts
    this.#announced = store.position
    this.#written = store.position
    const known = new Map(
      (await store.home.range(progressRows, { index: 'id' })).map((progress) => [progress.id, progress] as const),
    )
    let oldest = store.position
    for (const userId of [...pushers.users()]) {
      for (const pusher of pushers.of(userId)) {
        const progress = known.get(pusher.id)
        oldest = Math.min(oldest, progress?.position ?? pusher.position)
        this.#added(pusher, progress)
      }
      for (const { roomId, membership, eventId, position } of (await rooms.memberships(userId)).values()) {
        if (membership === 'invite' && position > oldest) this.#change(roomId).invites.set(userId, eventId)
      }
    }
    for (const roomId of pushers.userCount > 0 ? rooms.changedSince(oldest) : []) this.#change(roomId).isForAll = true
    this.#isStarted = true
    this.#wake()
  }

  #onEvent({ position, event, roomId }: EventAnnouncement): void {
    this.#announced = Math.max(this.#announced, position)
    const { pushers } = this.#parts
    if (pushers.userCount === 0) return
    const change = this.#change(roomId)
    change.isForAll = true
    const { type, state_key: target, content } = event.pdu
    if (type !== 'm.room.member' || target === undefined || !pushers.hasUser(target)) return
    change.users.add(target)
    if (content.membership === 'invite') change.invites.set(target, event.eventId)
  }

  #change(roomId: string): Change {
    const known = this.#changes.get(roomId)
    if (known) return known
    const made: Change = { isForAll: false, users: new Set(), invites: new Map() }
    this.#changes.set(roomId, made)
    this.#wake()
    return made
  }

  #wake(): void {
    if (!this.#isStarted || this.#isClosed || this.#turn) return
    this.#turn = this.#lookAtAll().finally(() => {
      this.#turn = undefined
      if (this.#changes.size > 0) this.#wake()
    })
  }

  /** Never rejects. */
  async #lookAtAll(): Promise<void> {
    // Other listeners of the same announcement come first, and so do the answers to whoever sent it.
    await new Promise((resolve) => setImmediate(resolve))
    while (!this.#isClosed) {
      const announced = this.#announced
      const [next] = this.#changes
      if (!next) {
        this.#examined = announced
        if (announced - this.#written > POSITIONS_BETWEEN_WRITES) this.#writeSoon()
        return
      }
      const [roomId, change] = next
      this.#changes.delete(roomId)
      try {
        await this.#lookAt(roomId, change)
      } catch (error) {
        this.#parts.environment.logger.error({ event: 'push.room-not-looked-at', roomId, error })
      }
    }
  }

  async #lookAt(roomId: string, { isForAll, users, invites }: Change): Promise<void> {
    using view = await findRoom(this.#parts.rooms, roomId)
    for (const [userId, eventId] of invites) await this.#lookAtInvite(view, { roomId, userId, eventId })
    if (!view) return
    const concerned = new Set(users)
    if (isForAll) for (const userId of this.#membersWithPushers(view)) concerned.add(userId)
    for (const userId of concerned) {
      const person = this.#people.get(userId)
      if (!person) continue
      await person.recipient.look(view)
      for (const delivery of person.deliveries.values()) delivery.countsChanged()
    }
  }

  #membersWithPushers(view: RoomView): Iterable<string> {
    const { pushers } = this.#parts
    const joined = view.joined()
    if (joined.size < pushers.userCount) return [...joined].filter((userId) => pushers.hasUser(userId))
    return [...pushers.users()].filter((userId) => joined.has(userId))
  }

  /** @param view the room, where this server has it */
  async #lookAtInvite(
    view: RoomView | undefined,
    { roomId, userId, eventId }: { readonly roomId: string; readonly userId: string; readonly eventId: string },
  ): Promise<void> {
    const person = this.#people.get(userId)
    if (!person) return
    const found = await view?.find(eventId)
    const scene =
      view && found && found.order !== null ? { view, event: found } : await this.#outside(roomId, userId, eventId)
    if (!scene || scene.event.pdu.sender === userId) return
    const { event } = scene
    const [rules, ignored] = await Promise.all([this.#parts.rules.compiledFor(userId), this.#parts.ignored.of(userId)])
    if (ignored.has(event.pdu.sender)) return
    const outcome = judge(event, scene.view, { userId, rules })
    if (!outcome.notify) return
    const { position } = event
    const order = event.order ?? 0
    const notice = { roomId, eventId, order, position, thread: 'main', outcome, isInvite: true }
    for (const delivery of person.deliveries.values()) delivery.add([notice])
  }

  /** An invite to a room that this server is not in, as long as it stands. */
  async #outside(roomId: string, userId: string, eventId: string): Promise<InviteScene | undefined> {
    const entry = await this.#parts.rooms.findMembership(userId, roomId)
    return entry?.membership === 'invite' && entry.eventId === eventId ? inviteScene(entry) : undefined
  }

  #added(pusher: Pusher, progress: ProgressRow | undefined): void {
    if (this.#isClosed) return
    const person = this.#people.get(pusher.userId) ?? this.#newPerson(pusher.userId)
    const known = person.deliveries.get(pusher.id)
    if (known?.pusher.kind === pusher.kind) {
      known.update(pusher)
      return
    }
    if (known) this.#close(known)
    const { recipient } = person
    const delivery = this.#parts.makeDelivery({
      recipient,
      pusher,
      progress,
      onProgress: () => this.#writeSoon(),
      saveProgress: () => this.#write(),
    })
    if (delivery) person.deliveries.set(pusher.id, delivery)
  }

  #newPerson(userId: string): Person {
    const deliveries = new Map<string, Delivery>()
    const recipient = new Recipient(userId, this.#parts, (notices) => {
      for (const delivery of deliveries.values()) delivery.add(notices)
    })
    const person = { recipient, deliveries }
    this.#people.set(userId, person)
    return person
  }

  #removed({ userId, id }: Pusher): void {
    const person = this.#people.get(userId)
    const delivery = person?.deliveries.get(id)
    if (!person || !delivery) return
    person.deliveries.delete(id)
    if (person.deliveries.size === 0) this.#people.delete(userId)
    this.#close(delivery)
  }

  /** In the background: a delivery may be the one that asked for it. */
  #close(delivery: Delivery): void {
    const closing = Promise.resolve(delivery[Symbol.asyncDispose]()).finally(() => this.#closings.delete(closing))
    this.#closings.add(closing)
  }

  #writeSoon(): void {
    if (this.#isClosed) return
    this.#cancelWrite ??= this.#parts.environment.clock.after(WRITE_DELAY_MS, () => {
      this.#cancelWrite = undefined
      this.#write().catch((error: unknown) => {
        // What went out meanwhile may go out again after a restart, and gateways know what they had.
        this.#parts.environment.logger.warn({ event: 'push.progress-not-written', error })
      })
    })
  }

  #write(): Promise<void> {
    const written = this.#writing.then(async () => {
      const deliveries = [...this.#people.values()].flatMap((person) => [...person.deliveries.values()])
      const examined = this.#examined
      const isAll = this.#isClosed || examined - this.#written > POSITIONS_BETWEEN_WRITES
      const moved = isAll ? deliveries : deliveries.filter(({ hasProgress }) => hasProgress)
      if (isAll) this.#written = examined
      if (moved.length === 0) return
      await this.#parts.store.commit(() =>
        moved
          .filter(({ pusher }) => this.#people.get(pusher.userId)?.deliveries.has(pusher.id))
          .map((delivery) => put(progressRows, delivery.progress(examined))),
      )
    })
    this.#writing = written.catch(() => undefined)
    return written
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const end of this.#subscriptions) end()
    this.#cancelWrite?.()
    await this.#turn
    const people = [...this.#people.values()]
    await Promise.all(
      people.flatMap(({ deliveries }) => [...deliveries.values()].map((each) => each[Symbol.asyncDispose]())),
    )
    await Promise.all(this.#closings)
    await this.#write()
  }
}
