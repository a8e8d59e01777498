import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { findAccessToken } from './access-token.ts'
import type { RequestInfo } from './route.ts'

/** The longest `User-Agent` that is passed on: it is shown in device lists. */
const MAX_USER_AGENT_LENGTH = 256

/** Made once: the default reason is an error with a stack of its own, which costs more than the rest of an abort. */
const CLIENT_GONE = new Error('the client has gone')
const STOPPING = new Error('the server is stopping')

/** What a handler may know of its request. The abort signal is made only for handlers that ask for it. */
export class NodeRequestInfo implements RequestInfo {
  readonly ip: string
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #stopping: AbortSignal
  #signal: AbortSignal | undefined

  /** @param stopping aborted when the server stops */
  constructor(request: IncomingMessage, response: ServerResponse, stopping: AbortSignal) {
    this.ip = addressOf(request)
    this.#request = request
    this.#response = response
    this.#stopping = stopping
  }

  get userAgent(): string {
    return (this.#request.headers['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH)
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers
  }

  get accessToken(): string | undefined {
    const { url = '' } = this.#request
    return findAccessToken(this.#request, url.includes('?') ? url.slice(url.indexOf('?') + 1) : '')
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal
    const gone = new AbortController()
    if (this.#stopping.aborted) gone.abort(STOPPING)
    else if (this.#response.destroyed) gone.abort(CLIENT_GONE)
    else {
      const stop = (): void => gone.abort(STOPPING)
      this.#stopping.addEventListener('abort', stop)
      this.#response.once('close', () => {
        this.#stopping.removeEventListener('abort', stop)
        if (!this.#response.writableFinished) gone.abort(CLIENT_GONE)
      })
    }
    this.#signal = gone.signal
    return this.#signal
  }

  get stream(): Readable {
    return this.#request
  }
}

/** The client's address. What a proxy says of it counts only where the proxy runs on this machine. */
function addressOf(request: IncomingMessage): string {
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  const forwarded = request.headers['x-forwarded-for']
  if (forwarded === undefined || !isLoopback(peer)) return peer
  // Only the last entry is the proxy's own word; those before it came from outside.
  const last = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded).split(',').at(-1)?.trim() ?? ''
  return /^[0-9a-fA-F.:]{2,45}$/.test(last) ? last : peer
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
