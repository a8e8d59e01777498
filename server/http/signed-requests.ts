/**
 * Requests that other servers sign: who asks is proven before anything that they say is looked at. In this order: the header,
 * whom it is for, whether we deal with that server, a bounded body, the signature, the origin's own limits.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { MatrixError, notJson } from '../../shared/matrix/errors.ts'
import type { Doorkeeper } from '../federation/index.ts'
import { parseJson } from '../protocol/json.ts'
import type { Json } from '../protocol/pdu.ts'
import type { RateLimits } from './rate-limit.ts'
import { readBody } from './read-body.ts'
import type { RequestInfo } from './route.ts'
import { Turns } from './turns.ts'

const MEBIBYTE = 1024 * 1024

/** A signed request whose origin is proven. Its place among the origin's requests is free again once it is disposed of. */
interface Received extends Disposable {
  readonly serverName: string
  /** `undefined`: there was no body. */
  readonly content: Json | undefined
}

/** Takes signed requests in. */
export class SignedRequests {
  readonly #doorkeeper: Doorkeeper
  readonly #limits: RateLimits
  /** Before the signature is checked anybody may be any server, so addresses are counted. */
  readonly #arriving = new Turns({ running: 16, waiting: 64, waitingBytes: MEBIBYTE })
  readonly #ofOrigin = new Turns({ running: 8, waiting: 32, waitingBytes: 64 * MEBIBYTE })

  constructor(doorkeeper: Doorkeeper, limits: RateLimits) {
    this.#doorkeeper = doorkeeper
    this.#limits = limits
  }

  /**
   * @throws MatrixError 401 M_UNAUTHORIZED, 403 M_FORBIDDEN, 413 M_TOO_LARGE, 429 M_LIMIT_EXCEEDED, 400 for a body that is no JSON
   * @throws ClientGone, as `readBody` does
   */
  async receive(request: IncomingMessage, info: RequestInfo, maxBodyBytes: number): Promise<Received> {
    const authorization = request.headersDistinct.authorization ?? []
    this.#doorkeeper.admit(authorization)
    const { serverName, content, bytes } = await this.#arrive(request, info, maxBodyBytes, authorization)
    this.#limits.take('federation', serverName)
    const turn = this.#limits.isEnabled ? await waited(this.#ofOrigin.take(serverName, bytes, info.signal)) : undefined
    return { serverName, content, [Symbol.dispose]: () => turn?.[Symbol.dispose]() }
  }

  async #arrive(
    request: IncomingMessage,
    info: RequestInfo,
    maxBodyBytes: number,
    authorization: readonly string[],
  ): Promise<{ serverName: string; content: Json | undefined; bytes: number }> {
    using _turn = this.#limits.isEnabled ? await waited(this.#arriving.take(info.ip, 0, info.signal)) : undefined
    const body = await readBody(request, maxBodyBytes)
    const content = body.length === 0 ? undefined : parseSignedBody(body)
    const { method = '', url = '' } = request
    const uri = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '')
    const serverName = await this.#doorkeeper.authenticate({ method, uri, authorization, content })
    return { serverName, content, bytes: body.length }
  }
}

/** Who gave up waiting has gone and gets no answer; or the server stops. */
async function waited(turn: Promise<Disposable>): Promise<Disposable> {
  return turn.catch((error: unknown) => {
    throw error instanceof MatrixError ? error : new MatrixError('M_UNKNOWN', 503, 'The server is stopping')
  })
}

/** Its nesting is bounded where its canonical form is made, for the signature. */
function parseSignedBody(bytes: Buffer): Json {
  if (!isUtf8(bytes)) throw notJson('The body is not UTF-8')
  const text = bytes.toString('utf8')
  try {
    return parseJson(text)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw notJson('The body is not JSON')
    throw cause
  }
}
