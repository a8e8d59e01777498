import type { Clock } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { type Op, orderKey, put, remove, type Store } from '../store/index.ts'
import { rowKey, type ToDeviceTransactionRow, toDeviceRows, toDeviceTransactionRows } from './store.ts'

/** How long a transaction ID is remembered. */
const TRANSACTION_KEPT_MS = 24 * 3_600_000
/** How many forgotten transactions one send clears away. */
const TRANSACTIONS_CLEARED_AT_ONCE = 20
/** How long nobody looks for more of them when there were none. */
const CLEARING_PAUSE_MS = 60_000
/** How many devices' inboxes are known by heart. */
const MAX_KNOWN_INBOXES = 10_000

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
  readonly #listeners = new Set<Listener>()
  readonly #inboxes = new Map<string, Inbox>()
  /** The newest position that a message was committed at, durable yet or not. */
  #newestIssued = 0
  #nextClearingTs = 0

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * Puts one message into each named device's inbox, once for each transaction ID of the sending device and event type.
   * @param recipients local devices that exist; at most one message for each
   */
  async send(message: {
    readonly sender: { readonly userId: string; readonly deviceId: string | null }
    readonly txnId: string
    readonly type: string
    readonly recipients: readonly { readonly userId: string; readonly deviceId: string; readonly content: JsonObject }[]
  }): Promise<void> {
    const { sender, type } = message
    // The event type is part of the request's path. Spec: client-server-api §Transaction identifiers.
    const transaction = rowKey(sender.userId, sender.deviceId ?? '', type, message.txnId)
    await this.#store.exclusive(`to-device ${transaction}`, async () => {
      if (await this.#store.home.get(toDeviceTransactionRows, transaction)) return
      const now = this.#clock.now()
      const forgotten = now < this.#nextClearingTs ? [] : await this.#forgotten(now)
      const bodies = message.recipients.map((recipient) =>
        JSON.stringify({ type, sender: sender.userId, content: recipient.content }),
      )
      const position = await this.#store.commit((at) => [
        put(toDeviceTransactionRows, { id: transaction, createdTs: now }),
        ...forgotten.map((row) => remove(toDeviceTransactionRows, row.id)),
        ...message.recipients.map(({ userId, deviceId }, i) => {
          const device = rowKey(userId, deviceId)
          this.#expect(device, at)
          return put(toDeviceRows, { inbox: orderKey(device, at), position: at, json: bodies[i] ?? '' })
        }),
      ])
      for (const { userId, deviceId } of message.recipients) {
        for (const listener of this.#listeners) listener({ userId, deviceId, position })
      }
    })
  }

  /** Some transactions that nobody will repeat any more; where there are few, the next look is later. */
  async #forgotten(now: number): Promise<readonly ToDeviceTransactionRow[]> {
    const rows = await this.#store.home.range(toDeviceTransactionRows, {
      index: 'createdTs',
      to: now - TRANSACTION_KEPT_MS,
      limit: TRANSACTIONS_CLEARED_AT_ONCE,
    })
    if (rows.length < TRANSACTIONS_CLEARED_AT_ONCE) this.#nextClearingTs = now + CLEARING_PAUSE_MS
    return rows
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
