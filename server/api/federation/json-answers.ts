/** Answers made of JSON that a slice has built itself. */
import { Readable } from 'node:stream'
import { Reply } from '../../http/route.ts'
import type { Logger } from '../../observe/environment.ts'
import type { JsonPieces } from '../../rooms/index.ts'

/** The longest that an answer may take to be read, so that nobody holds a room open by reading it byte by byte. */
const MAX_READING_MS = 10 * 60_000

/** Sends pieces of JSON as they are made, no faster than they are taken. */
export function inPieces(pieces: JsonPieces, logger: Logger): Reply {
  const signal = AbortSignal.timeout(MAX_READING_MS)
  const body = Readable.from(logged(pieces, logger), { signal })
  // It may end before anybody reads it, and then concerns nobody.
  body.on('error', () => undefined)
  return new Reply({ headers: { 'content-type': 'application/json' }, body })
}

/** By then the answer has begun: whoever reads it only sees it break off. */
async function* logged(pieces: JsonPieces, logger: Logger): JsonPieces {
  try {
    yield* pieces
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
    logger.error({ event: 'http.failed', why: message, stack })
    throw error
  }
}

/** A transaction that holds PDUs. Spec: data/api/server-server/definitions/transaction.yaml. */
export function transactionOf(origin: string, nowTs: number, pdus: readonly string[]): Reply {
  const head = `"origin":${JSON.stringify(origin)},"origin_server_ts":${nowTs}`
  return Reply.json(`{${head},"pdus":[${pdus.join(',')}]}`)
}
