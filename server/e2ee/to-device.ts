import type { Clock, Environment, Logger } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Collection, type Op, orderKey, put, remove, type Store } from '../store/index.ts'
import {
  receivedToDeviceRows,
  rowKey,
  type ToDeviceTransactionRow,
  toDeviceRows,
  toDeviceTransactionRows,
} from './store.ts'

/** How long a transaction ID is remembered. */
const TRANSACTION_KEPT_MS = 24 * 3_600_000
/** How many forgotten transactions one send clears away. */
const TRANSACTIONS_CLEARED_AT_ONCE = 20
/** How long nobody looks for more of them when there were none. */
const CLEARING_PAUSE_MS = 60_000
/** How many devices' inboxes are known by heart. */
const MAX_KNOWN_INBOXES = 10_000

/** Messages of other servers that are remembered, so that none is delivered twice. */
const MAX_RECEIVED_REMEMBERED = 100_000
/** So many messages may wait for a device where other servers send them; about a year of a person in large rooms. */
const MAX_WAITING = 50_000
/** After so many more messages of others an inbox is counted. */
const RECEIVED_PER_COUNT = 1_000

export interface Recipient {
  readonly userId: string
  readonly deviceId: string
  readonly content: JsonObject
}

export interface ToDeviceMessage {
  readonly position: number
  /** `{ type, sender, content }` as the client gets it, as JSON text. */
  readonly json: string
}

type Listener = (message: { readonly userId: string; readonly deviceId: string; readonly position: number }) => void

/** The bounds of what waits for a device; `null` where nothing does. */
interface Inbox {
  oldest: number | null
  newest: number | null
}

/** Messages from device to device, kept until the receiving client has shown that it got them. Spec: §Send-to-Device messaging. */
export class ToDevice {
  readonly #store: Store
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #listeners = new Set<Listener>()
  readonly #inboxes = new Map<string, Inbox>()
  /** The newest position that a message was committed at, durable yet or not. */
  #newestIssued = 0
  #nextClearingTs = 0
  /** By device. */
  readonly #receivedSinceCount = new Map<string, number>()

  constructor(store: Store, { clock, logger }: Pick<Environment, 'clock' | 'logger'>) {
    this.#store = store
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * Puts one message into each named device's inbox, once for each transaction of one of our devices.
   * @param message.recipients local devices that exist; at most one message for each
   * @param message.alongside writes that go with it, as those for devices elsewhere
   * @returns whether it is the first time
   */
  async send(message: {
    readonly senderId: string
    readonly deviceId: string | null
    readonly txnId: string
    readonly type: string
    readonly recipients: readonly Recipient[]
    readonly alongside: () => readonly Op[]
  }): Promise<boolean> {
    const { senderId, deviceId, type, txnId } = message
    // The event type is part of the request's path. Spec: client-server-api §Transaction identifiers.
    const id = rowKey(senderId, deviceId ?? '', type, txnId)
    return this.#once(toDeviceTransactionRows, id, () => this.#forgotten(), message)
  }

  /**
   * A message of a user of another server, once for each `message_id`.
   * Spec: server-server-api §Send-to-device messaging.
   */
  async receive(message: {
    readonly origin: string
    readonly messageId: string
    readonly senderId: string
    readonly type: string
    readonly recipients: readonly Recipient[]
  }): Promise<void> {
    const { origin, messageId, recipients } = message
    if (recipients.length === 0) return
    for (const recipient of recipients) await this.#makeRoom(recipient)
    const id = rowKey(origin, messageId)
    await this.#once(receivedToDeviceRows, id, () => this.#surplus(), { ...message, alongside: () => [] })
  }

  #once(
    seen: Collection<ToDeviceTransactionRow>,
    id: string,
    findOld: () => Promise<readonly ToDeviceTransactionRow[]>,
    message: {
      readonly senderId: string
      readonly type: string
      readonly recipients: readonly Recipient[]
      readonly alongside: () => readonly Op[]
    },
  ): Promise<boolean> {
    const { senderId, type, recipients } = message
    return this.#store.exclusive(`to-device ${id}`, async () => {
      if (await this.#store.home.get(seen, id)) return false
      const old = await findOld()
      const bodies = recipients.map(({ content }) => JSON.stringify({ type, sender: senderId, content }))
      const position = await this.#store.commit((at) => [
        put(seen, { id, createdTs: this.#clock.now() }),
        ...old.map((row) => remove(seen, row.id)),
        ...recipients.map(({ userId, deviceId }, i) => {
          const device = rowKey(userId, deviceId)
          this.#expect(device, at)
          return put(toDeviceRows, { inbox: orderKey(device, at), position: at, json: bodies[i] ?? '' })
        }),
        ...message.alongside(),
      ])
      for (const { userId, deviceId } of recipients) {
        for (const listener of this.#listeners) listener({ userId, deviceId, position })
      }
      return true
    })
  }

  /** Some transactions that nobody will repeat any more; where there are few, the next look is later. */
  async #forgotten(): Promise<readonly ToDeviceTransactionRow[]> {
    const now = this.#clock.now()
    if (now < this.#nextClearingTs) return []
    const rows = await this.#store.home.range(toDeviceTransactionRows, {
      index: 'createdTs',
      to: now - TRANSACTION_KEPT_MS,
      limit: TRANSACTIONS_CLEARED_AT_ONCE,
    })
    if (rows.length < TRANSACTIONS_CLEARED_AT_ONCE) this.#nextClearingTs = now + CLEARING_PAUSE_MS
    return rows
  }

  /** The oldest of the messages that are remembered, where there are too many: other servers decide how many come. */
  async #surplus(): Promise<readonly ToDeviceTransactionRow[]> {
    if ((await this.#store.home.count(receivedToDeviceRows)) < MAX_RECEIVED_REMEMBERED) return []
    return this.#store.home.range(receivedToDeviceRows, { index: 'createdTs', limit: TRANSACTIONS_CLEARED_AT_ONCE })
  }

  /** Where others have filled a device's inbox, its oldest messages go: whoever was away for so long needs them least. */
  async #makeRoom({ userId, deviceId }: Recipient): Promise<void> {
    const key = rowKey(userId, deviceId)
    const received = (this.#receivedSinceCount.get(key) ?? RECEIVED_PER_COUNT) + 1
    if (received <= RECEIVED_PER_COUNT) {
      this.#receivedSinceCount.set(key, received)
      return
    }
    const range = { index: 'inbox', from: orderKey(key, 0), to: orderKey(key, Number.MAX_SAFE_INTEGER) }
    const surplus = (await this.#store.home.count(toDeviceRows, range)) - MAX_WAITING
    if (surplus > 0) {
      const rows = await this.#store.home.range(toDeviceRows, { ...range, limit: surplus })
      await this.#store.commit(() => rows.map((row) => remove(toDeviceRows, row.inbox)))
      this.#logger.warn({ event: 'to-device.inbox-full', userId, deviceId, dropped: rows.length })
    }
    if (this.#receivedSinceCount.size >= MAX_KNOWN_INBOXES) this.#receivedSinceCount.clear()
    this.#receivedSinceCount.set(key, 0)
  }

  /** Notes a message before it is committed: a reader that sees its position must not take the inbox for empty. */
  #expect(device: string, position: number): void {
    this.#newestIssued = Math.max(this.#newestIssued, position)
    const inbox = this.#inboxes.get(device)
    if (!inbox) return
    inbox.oldest ??= position
    inbox.newest = Math.max(inbox.newest ?? 0, position)
  }

  onMessage(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async since(
    device: { userId: string; deviceId: string },
    since: number,
    upTo: number,
    limit: number,
  ): Promise<readonly ToDeviceMessage[]> {
    if (upTo <= since) return []
    const key = rowKey(device.userId, device.deviceId)
    const inbox = await this.#inbox(key)
    if (inbox.newest === null || inbox.newest <= since) return []
    return this.#store.home.range(toDeviceRows, {
      index: 'inbox',
      from: orderKey(key, since + 1),
      to: orderKey(key, upTo + 1),
      limit,
    })
  }

  async acknowledge(device: { userId: string; deviceId: string }, upTo: number): Promise<void> {
    const key = rowKey(device.userId, device.deviceId)
    const inbox = await this.#inbox(key)
    if (inbox.oldest === null || inbox.oldest > upTo) return
    const rows = await this.#store.home.range(toDeviceRows, {
      index: 'inbox',
      from: orderKey(key, 0),
      to: orderKey(key, upTo + 1),
    })
    await this.#store.commit(() => rows.map((row) => remove(toDeviceRows, row.inbox)))
    // What came meanwhile is newer than all that went; where nothing did, nothing waits any more.
    if (inbox.newest !== null && inbox.newest <= upTo) {
      inbox.oldest = null
      inbox.newest = null
    } else inbox.oldest = upTo + 1
  }

  /** Devices for which messages wait: from the first message of one it is a step to the first of the next. */
  async inboxesInUse(): Promise<readonly { readonly userId: string; readonly deviceId: string }[]> {
    const found: { userId: string; deviceId: string }[] = []
    let from = ''
    for (;;) {
      const [row] = await this.#store.home.range(toDeviceRows, { index: 'inbox', from, limit: 1 })
      if (!row) return found
      const device = row.inbox.slice(0, row.inbox.indexOf('\u0000'))
      const [userId, deviceId] = JSON.parse(device) as [string, string]
      found.push({ userId, deviceId })
      from = `${device}\u0001`
    }
  }

  /** What removes all that waits for a device; call `forget` after the commit. */
  async removalOf(userId: string, deviceId: string): Promise<readonly Op[]> {
    const key = rowKey(userId, deviceId)
    const rows = await this.#store.home.range(toDeviceRows, {
      index: 'inbox',
      from: orderKey(key, 0),
      to: orderKey(key, Number.MAX_SAFE_INTEGER),
    })
    return rows.map((row) => remove(toDeviceRows, row.inbox))
  }

  forget(userId: string, deviceId: string): void {
    this.#inboxes.delete(rowKey(userId, deviceId))
  }

  async #inbox(key: string): Promise<Inbox> {
    const known = this.#inboxes.get(key)
    if (known) return known
    // Entered before it is read, so that a message that comes meanwhile is counted in.
    const inbox: Inbox = { oldest: 0, newest: Number.MAX_SAFE_INTEGER }
    if (this.#inboxes.size >= MAX_KNOWN_INBOXES) this.#inboxes.delete(this.#inboxes.keys().next().value ?? '')
    const before = this.#store.position
    const range = { index: 'inbox', from: orderKey(key, 0), to: orderKey(key, Number.MAX_SAFE_INTEGER), limit: 1 }
    const [[oldest], [newest]] = await Promise.all([
      this.#store.home.range(toDeviceRows, range),
      this.#store.home.range(toDeviceRows, { ...range, direction: 'backward' }),
    ])
    // Nothing was committed meanwhile, and no message is on its way: what was read is all. Otherwise stay with "there may be
    // something" and read again next time.
    if (this.#store.position === before && this.#newestIssued <= before) {
      inbox.oldest = oldest?.position ?? null
      inbox.newest = newest?.position ?? null
      this.#inboxes.set(key, inbox)
    }
    return inbox
  }
}
