import { Failure, failureOf, isRecord } from './failure.ts'
import type { SendState } from './rows.ts'
import { createSignal, type Unsubscribe } from './signal.ts'

/** One event on its way. The content is as the person wrote it; it is encrypted when it is sent. */
export interface OutgoingItem {
  readonly txnId: string
  readonly roomId: string
  /** e.g. `m.room.message`. */
  readonly type: string
  readonly content: Readonly<Record<string, unknown>>
  readonly createdTs: number
  readonly state: SendState
  /** Set once the server has confirmed it. */
  readonly eventId: string | null
}

export interface SendQueue {
  readonly items: () => readonly OutgoingItem[]
  readonly onChange: (listener: (roomId: string) => void) => Unsubscribe
  readonly add: (item: { roomId: string; type: string; content: Readonly<Record<string, unknown>> }) => string
  /** Tries a failed item again, as a new one at the end of the line. */
  readonly retry: (txnId: string) => void
  /** Forgets an item that is not under way. */
  readonly discard: (txnId: string) => void
  /** The event came back from the server: nothing is left to do for it. */
  readonly settle: (txnId: string) => void
  /** The connection is back, or a room arrived: tries at once instead of waiting out the delay. */
  readonly wake: () => void
  readonly stop: () => void
}

export interface SendQueueOptions {
  /** Sends one item and answers its event ID. Called again with the same `txnId` until it is known to have arrived. */
  readonly send: (item: OutgoingItem) => Promise<string>
  /** Told when an item will not be sent any more, so that the sender can let go of what it holds. */
  readonly onGivenUp?: (item: OutgoingItem) => void
  readonly load: () => string | null
  readonly save: (text: string) => void
  readonly newTxnId: () => string
  readonly now: () => number
  /** Runs something later; answers how to call it off. */
  readonly later: (ms: number, work: () => void) => () => void
}

/** So many may wait. More than that is no conversation but a program gone wrong. */
const MAX_ITEMS = 500
const FIRST_DELAY_MS = 1_000
const LAST_DELAY_MS = 20_000

/**
 * What is being sent, in order, one at a time in each room, kept on disk until the server has confirmed it.
 *
 * Nothing is lost silently: an item leaves the queue only when it was confirmed, seen, or discarded by the person.
 * Nothing is doubled: every try of an item has the same transaction ID, also after the page was loaded anew, and the
 * server answers a repeated one with the first event. Spec: client-server-api §Transaction identifiers.
 */
export function createSendQueue(options: SendQueueOptions): SendQueue {
  let items: readonly OutgoingItem[] = readItems(options.load())
  const changed = createSignal<string>()
  const active = new Set<string>()
  const waiting = new Map<string, () => void>()
  const failures = new Map<string, number>()
  let isStopped = false

  const save = (): void => {
    const open = items.filter((item) => item.eventId === null)
    options.save(
      JSON.stringify(open.map(({ state, ...kept }) => ({ ...kept, failed: state.is === 'failed' ? state.why : null }))),
    )
  }
  const change = (txnId: string, part: Partial<OutgoingItem>): void => {
    const roomId = items.find((item) => item.txnId === txnId)?.roomId
    if (roomId === undefined) return
    items = items.map((item) => (item.txnId === txnId ? { ...item, ...part } : item))
    save()
    changed.emit(roomId)
  }
  const remove = (txnId: string): void => {
    const roomId = items.find((item) => item.txnId === txnId)?.roomId
    if (roomId === undefined) return
    items = items.filter((item) => item.txnId !== txnId)
    save()
    changed.emit(roomId)
  }
  const find = (txnId: string): OutgoingItem | undefined => items.find((item) => item.txnId === txnId)

  const pump = (roomId: string): void => {
    if (isStopped || active.has(roomId) || waiting.has(roomId)) return
    const next = items.find((item) => item.roomId === roomId && item.eventId === null && item.state.is === 'waiting')
    if (!next) return
    active.add(roomId)
    change(next.txnId, { state: { is: 'sending' } })
    void attempt(next).finally(() => {
      active.delete(roomId)
      pump(roomId)
    })
  }

  async function attempt(item: OutgoingItem): Promise<void> {
    try {
      const eventId = await options.send(item)
      failures.delete(item.roomId)
      change(item.txnId, { eventId, state: { is: 'sent' } })
    } catch (error) {
      const failure = failureOf(error)
      if (!find(item.txnId)) return
      if (failure.isTransient || failure.kind === 'signedOut' || failure.kind === 'cancelled') {
        change(item.txnId, { state: { is: 'waiting' } })
        delay(item.roomId, failure)
        return
      }
      options.onGivenUp?.(item)
      const why = failure.kind === 'forbidden' || failure.kind === 'tooLarge' ? failure.kind : 'unknown'
      change(item.txnId, { state: { is: 'failed', why } })
    }
  }

  const delay = (roomId: string, failure: Failure): void => {
    const count = (failures.get(roomId) ?? 0) + 1
    failures.set(roomId, count)
    const ms = failure.retryAfterMs ?? Math.min(FIRST_DELAY_MS * 2 ** (count - 1), LAST_DELAY_MS)
    const cancel = options.later(ms, () => {
      waiting.delete(roomId)
      pump(roomId)
    })
    waiting.set(roomId, cancel)
  }

  const pumpAll = (): void => {
    for (const roomId of new Set(items.map((item) => item.roomId))) pump(roomId)
  }

  return {
    items: () => items,
    onChange: changed.on,
    add: ({ roomId, type, content }) => {
      if (items.length >= MAX_ITEMS)
        throw new Failure('unknown', { message: 'too many messages are waiting to be sent' })
      const txnId = options.newTxnId()
      const item: OutgoingItem = {
        txnId,
        roomId,
        type,
        content,
        createdTs: options.now(),
        state: { is: 'waiting' },
        eventId: null,
      }
      items = [...items, item]
      save()
      changed.emit(roomId)
      pump(roomId)
      return txnId
    },
    retry: (txnId) => {
      const item = find(txnId)
      if (item?.state.is !== 'failed') return
      // refused for good by the server, so a new transaction cannot double it
      const again: OutgoingItem = { ...item, txnId: options.newTxnId(), state: { is: 'waiting' } }
      items = [...items.filter((other) => other.txnId !== txnId), again]
      save()
      changed.emit(item.roomId)
      pump(item.roomId)
    },
    discard: (txnId) => {
      const item = find(txnId)
      if (!item || item.state.is === 'sending') return
      options.onGivenUp?.(item)
      remove(txnId)
    },
    settle: (txnId) => {
      const item = find(txnId)
      if (!item) return
      remove(txnId)
    },
    wake: () => {
      for (const cancel of waiting.values()) cancel()
      waiting.clear()
      failures.clear()
      pumpAll()
    },
    stop: () => {
      isStopped = true
      for (const cancel of waiting.values()) cancel()
      waiting.clear()
    },
  }
}

/** Reads what was kept; anything that is not an item is left out. */
export function readItems(text: string | null): readonly OutgoingItem[] {
  if (text === null) return []
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // written by ourselves in one go, so this is a damaged disk; there is nothing to save
    return []
  }
  if (!Array.isArray(json)) return []
  return json.flatMap((value: unknown): OutgoingItem[] => {
    if (!isRecord(value)) return []
    const { txnId, roomId, type, content, createdTs, failed } = value
    if (typeof txnId !== 'string' || typeof roomId !== 'string' || typeof type !== 'string' || !isRecord(content))
      return []
    const why = failed === 'forbidden' || failed === 'tooLarge' || failed === 'unknown' ? failed : null
    return [
      {
        txnId,
        roomId,
        type,
        content,
        createdTs: typeof createdTs === 'number' ? createdTs : 0,
        state: why ? { is: 'failed', why } : { is: 'waiting' },
        eventId: null,
      },
    ]
  })
}
