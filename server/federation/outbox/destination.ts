import {
  MAX_TRANSACTION_EDUS,
  MAX_TRANSACTION_PDUS,
  sendTransaction,
} from '../../../shared/api/federation/transactions.ts'
import type { Environment } from '../../observe/environment.ts'
import { isJsonObject } from '../../protocol/json.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import type { FederationClient, OwedPdu, OwedPdus } from '../contract.ts'
import type { DurableEdus } from './durable-edus.ts'
import { OfferedEdus } from './offered-edus.ts'
import { bodyOf, type Transaction, transactionOf } from './transaction.ts'

/** The other side may take its time: it fetches what it lacks before it answers. */
const TIMEOUT_MS = 60_000
/** Of the PDUs' JSON in one transaction, and of EDUs that are rows, unless the first one alone is larger. */
const MAX_BYTES = 512 * 1024
/** A destination that lacks more events than this, and has for so long, gets the newest of each room and fetches the rest. */
const MAX_BACKLOG = 100
const CATCH_UP_AFTER_MS = 10 * 60_000
/** For so long a transaction is tried again as it is; then what it held is put together anew. */
const RETRIED_AS_IT_IS_MS = 60_000
const MAX_NAMED_EVENTS = 5

export interface DestinationParts {
  readonly environment: Environment
  readonly client: FederationClient
  readonly durable: DurableEdus
  readonly owed: () => OwedPdus
}

/** What was read of what is owed, and not been sent yet. */
interface Backlog {
  readonly pdus: readonly OwedPdu[]
  /** What the destination has after the last of them. */
  readonly upTo: number
  /** Only the newest of each room: before all are sent nothing can be said of how far it is. */
  readonly isCatchUp: boolean
}

const NOTHING: Backlog = { pdus: [], upTo: 0, isCatchUp: false }

/** One other server that is to be sent something; those that have all are not in memory. */
export class Destination {
  readonly name: string
  readonly offered = new OfferedEdus()
  /** Up to this stream position it has what it is owed. */
  cursor: number
  /** The newest stream position at which something for it was committed. */
  wanted: number
  /** Since when it lacks events; milliseconds since the epoch. */
  behindSinceTs: number
  /** Failed attempts in a row, since when, and why the last one. */
  failures = 0
  failingSinceTs: number | null = null
  why: string | undefined
  lastTryTs = 0
  /** While it waits for its next try. */
  retryTs: number | undefined
  cancelRetry: (() => void) | undefined
  /** While EDUs wait for company, and how long at most. */
  cancelDelay: (() => void) | undefined
  delayedUntilTs = 0
  isRunning = false
  readonly #parts: DestinationParts
  #backlog = NOTHING
  #attempt: Transaction | undefined

  constructor(parts: DestinationParts, name: string, at: { readonly cursor: number; readonly wanted: number }) {
    this.#parts = parts
    this.name = name
    this.cursor = at.cursor
    this.wanted = at.wanted
    this.behindSinceTs = parts.environment.clock.now()
  }

  get lacksEvents(): boolean {
    return this.wanted > this.cursor
  }

  /** Something to be sent, and not only what waits for company. */
  get hasWork(): boolean {
    return (
      this.#attempt !== undefined ||
      this.lacksEvents ||
      (this.offered.size > 0 && !this.cancelDelay) ||
      this.#parts.durable.has(this.name)
    )
  }

  /** Something for it was committed. */
  want(position: number): void {
    if (!this.lacksEvents) {
      this.cursor = Math.max(this.cursor, position - 1)
      this.behindSinceTs = this.#parts.environment.clock.now()
    }
    this.wanted = Math.max(this.wanted, position)
  }

  /**
   * Sends one transaction.
   * @returns false where there was nothing to send
   * @throws RemoteError, RemoteRefusal where it was not confirmed
   */
  async sendOne(signal: AbortSignal): Promise<boolean> {
    const { client, environment, durable } = this.#parts
    this.#attempt ??= await this.#assemble()
    const transaction = this.#attempt
    if (!transaction) return false
    this.lastTryTs = environment.clock.now()
    const { pdus } = await client.call(this.name, sendTransaction, {
      path: { txnId: transaction.txnId },
      body: bodyOf(transaction, environment.serverName),
      timeoutMs: TIMEOUT_MS,
      signal,
    })
    this.#attempt = undefined
    this.cursor = Math.max(this.cursor, transaction.deliveredUpTo)
    this.#logRefused(pdus)
    await durable.settled(this.name, transaction.durable, true)
    return true
  }

  /** After a failed try: what is retried for long, or cannot be sent any more, is put together anew later. */
  async notSent(): Promise<void> {
    const nowTs = this.#parts.environment.clock.now()
    if (nowTs - (this.failingSinceTs ?? nowTs) < RETRIED_AS_IT_IS_MS) return
    const transaction = this.#attempt
    this.#attempt = undefined
    this.#backlog = NOTHING
    if (transaction) {
      this.offered.putBack(transaction.offered)
      await this.#parts.durable.settled(this.name, transaction.durable, false)
    }
    this.offered.dropPassing()
  }

  async #assemble(): Promise<Transaction | undefined> {
    const { durable, environment } = this.#parts
    const createdTs = environment.clock.now()
    const { pdus, deliveredUpTo } = await this.#nextPdus()
    const rows = await durable.take(this.name, MAX_TRANSACTION_EDUS, MAX_BYTES)
    const offered = this.offered.take(MAX_TRANSACTION_EDUS - rows.length, createdTs)
    if (pdus.length + rows.length + offered.length === 0) return undefined
    return transactionOf({ createdTs, pdus, durable: rows, offered, deliveredUpTo })
  }

  async #nextPdus(): Promise<Pick<Transaction, 'pdus' | 'deliveredUpTo'>> {
    while (this.#backlog.pdus.length === 0 && this.lacksEvents) await this.#read()
    const { pdus: waiting, upTo, isCatchUp } = this.#backlog
    if (waiting.length === 0) return { pdus: [], deliveredUpTo: this.cursor }
    const pdus: OwedPdu[] = []
    let bytes = 0
    for (const pdu of waiting) {
      bytes += pdu.json.length
      if (pdus.length === MAX_TRANSACTION_PDUS || (pdus.length > 0 && bytes > MAX_BYTES)) break
      pdus.push(pdu)
    }
    const rest = waiting.slice(pdus.length)
    this.#backlog = { pdus: rest, upTo, isCatchUp }
    const [next] = rest
    if (!next) return { pdus, deliveredUpTo: upTo }
    return { pdus, deliveredUpTo: isCatchUp ? this.cursor : next.position - 1 }
  }

  async #read(): Promise<void> {
    const { owed, environment } = this.#parts
    const { wanted } = this
    const read = await owed().owedTo(this.name, this.cursor, MAX_BACKLOG)
    const behindMs = environment.clock.now() - this.behindSinceTs
    if (!read.isComplete && behindMs >= CATCH_UP_AFTER_MS) {
      const { pdus, upTo } = await owed().newestOwedTo(this.name, this.cursor)
      environment.logger.info({ event: 'federation.catching-up', destination: this.name, rooms: pdus.length, behindMs })
      this.#backlog = { pdus, upTo: Math.max(upTo, wanted), isCatchUp: true }
    } else {
      // What was committed before the reading was in it, or of no concern.
      const upTo = read.isComplete ? Math.max(read.upTo, wanted) : read.upTo
      this.#backlog = { pdus: read.pdus, upTo, isCatchUp: false }
    }
    if (this.#backlog.pdus.length === 0) this.cursor = Math.max(this.cursor, this.#backlog.upTo)
  }

  #logRefused(results: JsonObject): void {
    const refused = Object.entries(results).filter(([, result]) => isJsonObject(result) && result.error !== undefined)
    if (refused.length === 0) return
    const eventIds = refused.slice(0, MAX_NAMED_EVENTS).map(([eventId]) => eventId.slice(0, 255))
    const fields = { destination: this.name, count: refused.length, eventIds }
    this.#parts.environment.logger.warn({ event: 'federation.pdus-refused', ...fields })
  }
}
