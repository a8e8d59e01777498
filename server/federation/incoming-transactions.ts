/** Transactions of other servers: what they hold is taken in once, however often it is sent. Spec: server-server-api §Transactions. */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'
import type { ReceiveEdu } from './contract.ts'

export interface IncomingTransaction {
  readonly origin: string
  readonly txnId: string
  readonly pdus: readonly Json[]
  readonly edus: readonly Json[]
}

/** By event ID. */
type Results = Readonly<Record<string, { readonly error?: string }>>

export interface IncomingTransactions {
  /**
   * @returns what became of each PDU, once all of them are on disk and the EDUs are delivered. The same transaction again gives
   *   the same answer, and waits for the first one if that is under way
   * @throws MatrixError 429 M_LIMIT_EXCEEDED for a server that sends many at once; where it throws nothing is lost, since the
   *   other server sends it again
   */
  receive(transaction: IncomingTransaction): Promise<Results>
}

/** Answers that are remembered, of all servers. After a restart events are known by their IDs. */
const MAX_REMEMBERED = 2_000
/** A server sends one after the other; more are there only where it has given one up. */
const MAX_UNDER_WAY = 4

export function createIncomingTransactions(parts: {
  readonly environment: Environment
  readonly receivePdus: (origin: string, pdus: readonly Json[]) => Promise<Results>
  readonly isShutOut: (roomId: string, server: string) => Promise<boolean>
  /** Asked one after the other, until one of them says that the EDU is its own. */
  readonly receiveEdus: readonly ReceiveEdu[]
}): IncomingTransactions {
  const { environment, receivePdus, receiveEdus } = parts
  const answers = new Map<string, Promise<Results>>()
  const underWay = new Map<string, number>()

  async function receiveEdu(origin: string, edu: Json): Promise<void> {
    if (!isJsonObject(edu)) return
    const { edu_type: eduType, content } = edu
    if (typeof eduType !== 'string' || !isJsonObject(content)) return
    const admitted = await withoutClosedRooms(parts, origin, eduType, content)
    if (!admitted) return
    for (const receive of receiveEdus) if (await receive(origin, eduType, admitted)) return
  }

  async function receiveAllEdus({ origin, edus }: IncomingTransaction): Promise<void> {
    for (const edu of edus) {
      try {
        await receiveEdu(origin, edu)
      } catch (error) {
        // What is wrong with an EDU is no reason to have it sent again; anything else is.
        if (!(error instanceof MatrixError)) throw error
        environment.logger.info({ event: 'edu.dropped', origin, why: error.message })
      }
    }
  }

  async function take(transaction: IncomingTransaction): Promise<Results> {
    const { origin } = transaction
    underWay.set(origin, (underWay.get(origin) ?? 0) + 1)
    try {
      const [pdus, edus] = await Promise.allSettled([
        receivePdus(origin, transaction.pdus),
        receiveAllEdus(transaction),
      ])
      if (pdus.status === 'rejected') throw pdus.reason
      if (edus.status === 'rejected') throw edus.reason
      return pdus.value
    } finally {
      const left = (underWay.get(origin) ?? 1) - 1
      if (left === 0) underWay.delete(origin)
      else underWay.set(origin, left)
    }
  }

  return {
    async receive(transaction) {
      const { origin, txnId } = transaction
      const key = JSON.stringify([origin, txnId])
      const known = answers.get(key)
      if (known) return known
      if ((underWay.get(origin) ?? 0) >= MAX_UNDER_WAY) {
        throw new MatrixError('M_LIMIT_EXCEEDED', 429, 'Your server sends too many transactions at once', {
          retry_after_ms: 1_000,
        })
      }
      const answer = take(transaction)
      answers.set(key, answer)
      answer.catch(() => answers.delete(key))
      for (const oldest of answers.keys()) {
        if (answers.size <= MAX_REMEMBERED) break
        answers.delete(oldest)
      }
      return answer
    },
  }
}

/**
 * An EDU without what it says of rooms that shut its server out; `undefined` where nothing is left.
 * Spec: server-server-api §Server Access Control Lists (ACLs).
 */
async function withoutClosedRooms(
  { isShutOut }: { readonly isShutOut: (roomId: string, server: string) => Promise<boolean> },
  origin: string,
  eduType: string,
  content: JsonObject,
): Promise<JsonObject | undefined> {
  if (eduType === 'm.typing') {
    const roomId = ownValue(content, 'room_id')
    return typeof roomId === 'string' && (await isShutOut(roomId, origin)) ? undefined : content
  }
  if (eduType !== 'm.receipt') return content
  const open: [string, Json][] = []
  for (const [roomId, receipts] of Object.entries(content)) {
    if (!(await isShutOut(roomId, origin))) open.push([roomId, receipts])
  }
  return Object.fromEntries(open)
}
