import { createHash } from 'node:crypto'
import type { BodyOf } from '../../../shared/api/endpoint.ts'
import type { sendTransaction } from '../../../shared/api/federation/transactions.ts'
import { checkCanonicalJson } from '../../protocol/canonical-json.ts'
import { parseJson } from '../../protocol/json.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import type { Edu, OwedPdu } from '../contract.ts'
import type { WaitingEdu } from './durable-edus.ts'
import type { OfferedEdu } from './offered-edus.ts'

/** What one transaction holds. It stays as it is, its ID too, while it is tried again. */
export interface Transaction {
  readonly txnId: string
  readonly createdTs: number
  readonly pdus: readonly OwedPdu[]
  readonly durable: readonly WaitingEdu[]
  readonly offered: readonly OfferedEdu[]
  /** What the destination has when it has confirmed it, as a stream position. */
  readonly deliveredUpTo: number
}

/** @returns the transaction, whose ID is the same exactly when it holds the same */
export function transactionOf(parts: Omit<Transaction, 'txnId'>): Transaction {
  const hash = createHash('sha256')
  for (const { eventId } of parts.pdus) hash.update(`${eventId}\n`)
  for (const { key, seq } of parts.durable) hash.update(`${JSON.stringify(key)} ${seq}\n`)
  for (const { id } of parts.offered) hash.update(`${id}\n`)
  return { ...parts, txnId: hash.digest('base64url').slice(0, 24) }
}

/** An EDU without canonical form could never be signed, and would hold up all that comes after it: it is left out. */
export function bodyOf(transaction: Transaction, origin: string): BodyOf<typeof sendTransaction> {
  const { pdus, durable, offered, createdTs } = transaction
  const edus = [
    ...durable.map(({ json }) => parseJson(json) as unknown as Edu),
    ...offered.map(({ edu }) => edu),
  ].filter((edu) => checkCanonicalJson(edu as unknown as JsonObject, false).ok)
  return {
    origin,
    origin_server_ts: createdTs,
    pdus: pdus.map(({ pdu }) => pdu as unknown as JsonObject),
    ...(edus.length > 0 && { edus }),
  } as BodyOf<typeof sendTransaction>
}
