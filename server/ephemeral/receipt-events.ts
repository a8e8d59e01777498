import type { ReceiptRow } from './receipt-rows.ts'

interface Mark {
  readonly ts: number
  readonly thread_id?: string
}

/**
 * `m.receipt` events of these receipts, as JSON texts without `room_id`: one for each thread, since a user may have read up to
 * the same event in two ways, and the content has place for one. Spec: client-server-api §Receipts, Server behaviour.
 */
export function receiptEvents(receipts: readonly ReceiptRow[]): readonly string[] {
  if (receipts.length === 0) return []
  const byThread = new Map<string | null, Map<string, Map<string, Map<string, Mark>>>>()
  for (const { threadId, eventId, type, userId, ts } of receipts) {
    const ofThread = entry(byThread, threadId)
    const ofEvent = entry(ofThread, eventId)
    const ofType = entry(ofEvent, type)
    ofType.set(userId, threadId === null ? { ts } : { ts, thread_id: threadId })
  }
  return [...byThread.values()].map((ofThread) => `{"type":"m.receipt","content":${objectText(ofThread)}}`)
}

function entry<K, I, V>(map: Map<K, Map<I, V>>, key: K): Map<I, V> {
  const found = map.get(key)
  if (found) return found
  const made = new Map<I, V>()
  map.set(key, made)
  return made
}

/** Maps as a JSON object, to any depth. Keys are others' words, so they never become property names. */
function objectText(map: ReadonlyMap<string, unknown>): string {
  const parts: string[] = []
  for (const [key, value] of map) {
    parts.push(`${JSON.stringify(key)}:${value instanceof Map ? objectText(value) : JSON.stringify(value)}`)
  }
  return `{${parts.join(',')}}`
}
