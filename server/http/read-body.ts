import type { IncomingMessage } from 'node:http'
import { MatrixError, tooLarge } from '../../shared/matrix/errors.ts'

/** The largest body in bytes where the declaration names no other. */
export const DEFAULT_MAX_BODY_BYTES = 1024 * 1024
/** How long a client may take to send a JSON body. */
const BODY_TIMEOUT_MS = 60_000
/** How much of a body that nobody wants is read and thrown away, so that the client sees the answer instead of a reset. */
const MAX_DRAINED_BYTES = 64 * 1024 * 1024

/** The client went away before its request was complete: nobody is left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

/**
 * Reads a body whole, never holding more than `maxBytes`.
 * @throws MatrixError 413 M_TOO_LARGE by the declared length or as soon as more has come; 408 after a minute
 * @throws ClientGone
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const declared = request.headers['content-length']
  if (declared !== undefined && Number(declared) > maxBytes) return Promise.reject(over(maxBytes))
  if (declared === '0' || (declared === undefined && request.headers['transfer-encoding'] === undefined)) {
    return Promise.resolve(Buffer.alloc(0))
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => {
      stop()
      reject(new MatrixError('M_UNKNOWN', 408, 'The request took too long to arrive'))
    }, BODY_TIMEOUT_MS)
    timer.unref()

    function onData(chunk: Buffer): void {
      size += chunk.length
      if (size > maxBytes) {
        stop()
        reject(over(maxBytes))
      } else chunks.push(chunk)
    }
    function onEnd(): void {
      stop()
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size))
    }
    function onGone(): void {
      stop()
      reject(new ClientGone())
    }
    function stop(): void {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
    }
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone)
  })
}

const over = (maxBytes: number): MatrixError => tooLarge(`The body is larger than ${maxBytes} bytes`)

/** Throws away what is left of the body; past a limit the connection is cut. */
export function drain(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  let size = 0
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > MAX_DRAINED_BYTES) request.destroy()
  })
  request.on('error', ignoreGone)
  request.resume()
}

function ignoreGone(): void {
  // The answer is out; that the client hung up while still sending changes nothing.
}
