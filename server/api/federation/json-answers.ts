/** Answers made of JSON that a slice has built itself. */
import { Readable } from 'node:stream'
import { Reply } from '../../http/route.ts'
import type { JsonPieces } from '../../rooms/index.ts'

/** Sends pieces of JSON as they are made, no faster than they are taken. */
export const inPieces = (pieces: JsonPieces): Reply =>
  new Reply({ headers: { 'content-type': 'application/json' }, body: Readable.from(pieces) })

/** A transaction that holds PDUs. Spec: data/api/server-server/definitions/transaction.yaml. */
export function transactionOf(origin: string, nowTs: number, pdus: readonly string[]): Reply {
  const head = `"origin":${JSON.stringify(origin)},"origin_server_ts":${nowTs}`
  return Reply.json(`{${head},"pdus":[${pdus.join(',')}]}`)
}
