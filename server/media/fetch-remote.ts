/**
 * Media of other servers, from the very server that it is of.
 * Spec: server-server-api §Content Repository; data/api/server-server/content_repository.yaml.
 */
import { Readable } from 'node:stream'
import { getContent as getContentUnsigned } from '../../shared/api/client/content-repo.ts'
import { getContent } from '../../shared/api/federation/content_repository.ts'
import { limitExceeded, MatrixError, notFound } from '../../shared/matrix/errors.ts'
import { type FederationClient, RemoteRefusal } from '../federation/index.ts'
import { type Outbound, type OutboundAnswer, RemoteError } from '../net/index.ts'
import type { Clock } from '../observe/environment.ts'
import { fileNameIn } from './content-headers.ts'
import { boundaryOf, MAX_AROUND_BYTES, NotMultipart, readMediaParts } from './multipart.ts'
import { type FetchRemote, remoteTooLarge } from './remote.ts'

/** So long a server may send nothing. Time for an upload that is still to come is added before it begins. */
const MAX_SILENCE_MS = 30_000
const MAX_REDIRECTS = 3

type Fetched = Awaited<ReturnType<FetchRemote>>

interface Fetching {
  readonly serverName: string
  readonly limits: Parameters<FetchRemote>[1]
  readonly silence: Silence
  readonly outbound: Outbound
}

/** @param outbound for media that the other server has put elsewhere: our signature does not go there */
export function createFetchRemote(deps: {
  readonly client: FederationClient
  readonly outbound: Outbound
  readonly clock: Clock
}): FetchRemote {
  const { client, outbound, clock } = deps

  async function begin(mediaId: string, fetching: Fetching): Promise<Fetched> {
    const { serverName, limits, silence } = fetching
    const { timeoutMs, maxBytes, waitMs } = limits
    const call = { timeoutMs, maxBytes: maxBytes + MAX_AROUND_BYTES, signal: silence.signal }
    try {
      const query = { timeout_ms: waitMs }
      return await fromParts(await client.open(serverName, getContent, { path: { mediaId }, query, ...call }), fetching)
    } catch (error) {
      if (!(error instanceof RemoteRefusal && error.errcode === 'M_UNRECOGNIZED')) throw error
    }
    // A server from before v1.11.
    const path = { serverName, mediaId }
    const query = { allow_remote: false, timeout_ms: waitMs, allow_redirect: true }
    return plain(await client.open(serverName, getContentUnsigned, { path, query, ...call, maxBytes }), fetching)
  }

  return async ({ serverName, mediaId }, limits) => {
    const silence = new Silence(clock, MAX_SILENCE_MS + limits.waitMs)
    try {
      const fetched = await begin(mediaId, { serverName, limits, silence, outbound })
      silence.restart(MAX_SILENCE_MS)
      return { ...fetched, bytes: Readable.from(heard(fetched.bytes, serverName, silence)) }
    } catch (error) {
      silence.end()
      throw forClient(asRemoteError(error, serverName, silence))
    }
  }
}

/** The two parts of an answer by federation. */
async function fromParts(answer: OutboundAnswer<Readable>, fetching: Fetching): Promise<Fetched> {
  try {
    if (answer.status !== 200) throw new NotMultipart(`the answer has status ${answer.status}`)
    const { headers, bytes } = await readMediaParts(answer.body, boundaryOf(answer.headers['content-type']))
    const location = headers.get('location')
    if (location !== undefined) {
      answer.body.on('error', ignore).destroy()
      return await elsewhere(location, fetching)
    }
    return {
      contentType: headers.get('content-type'),
      fileName: fileNameIn(headers.get('content-disposition')),
      bytes: Readable.from(bytes),
    }
  } catch (error) {
    answer.body.on('error', ignore).destroy()
    throw error
  }
}

/** An answer that is the media. */
async function plain(answer: OutboundAnswer<Readable>, fetching: Fetching): Promise<Fetched> {
  const { status, headers, body } = answer
  if (status === 200) {
    return { contentType: headers['content-type'], fileName: fileNameIn(headers['content-disposition']), bytes: body }
  }
  body.on('error', ignore).destroy()
  const { location } = headers
  if (status < 300 || status >= 400 || location === undefined) {
    throw new RemoteError(fetching.serverName, 'badAnswer', `its answer has status ${status}`)
  }
  return elsewhere(location, fetching)
}

/** Media that the server has put elsewhere, as at a provider of storage. */
async function elsewhere(location: string, { serverName, limits, silence, outbound }: Fetching): Promise<Fetched> {
  if (!URL.canParse(location) || new URL(location).protocol !== 'https:') {
    throw new RemoteError(serverName, 'badAnswer', 'it redirects to what is no https URL')
  }
  const { timeoutMs, maxBytes } = limits
  const { status, headers, body } = await outbound.open({
    url: location,
    timeoutMs,
    maxBytes,
    maxRedirects: MAX_REDIRECTS,
    isHttpsOnly: true,
    signal: silence.signal,
  })
  if (status !== 200) {
    body.on('error', ignore).destroy()
    if (status === 404 || status === 410) throw notFound('The server that this media is from does not have it')
    throw new RemoteError(serverName, 'badAnswer', `where it redirects to, the answer has status ${status}`)
  }
  return { contentType: headers['content-type'], fileName: fileNameIn(headers['content-disposition']), bytes: body }
}

/** The bytes, as long as more of them come. */
async function* heard(bytes: Readable, serverName: string, silence: Silence): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      silence.restart(MAX_SILENCE_MS)
      yield chunk
    }
  } catch (error) {
    throw asRemoteError(error, serverName, silence)
  } finally {
    silence.end()
    bytes.on('error', ignore).destroy()
  }
}

/** Ends a request when nothing has been heard for so long. */
class Silence {
  readonly #clock: Clock
  readonly #controller = new AbortController()
  #cancel: () => void

  constructor(clock: Clock, maxMs: number) {
    this.#clock = clock
    this.#cancel = this.#after(maxMs)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  restart(maxMs: number): void {
    this.#cancel()
    this.#cancel = this.#after(maxMs)
  }

  end(): void {
    this.#cancel()
  }

  #after(maxMs: number): () => void {
    return this.#clock.after(maxMs, () => this.#controller.abort())
  }
}

function asRemoteError(error: unknown, serverName: string, { signal }: Silence): unknown {
  if (error instanceof MatrixError || error instanceof RemoteRefusal) return error
  if (signal.aborted) return new RemoteError(serverName, 'timeout', 'it fell silent', { cause: error })
  if (error instanceof RemoteError) return error
  if (error instanceof NotMultipart) return new RemoteError(serverName, 'badAnswer', error.message)
  const { name, code, message } = error as NodeJS.ErrnoException
  if (name === 'TimeoutError') return new RemoteError(serverName, 'timeout', 'no answer in time', { cause: error })
  // What undici and the sockets under it break off with; anything else is our bug.
  if (code === undefined && name !== 'AbortError') return error
  return new RemoteError(serverName, 'unreachable', message, { cause: error })
}

/** What the server's own refusal means to whoever wants the media. */
function forClient(error: unknown): unknown {
  if (!(error instanceof RemoteRefusal)) return error
  const { status, errcode, destination } = error
  if (errcode === 'M_TOO_LARGE') return remoteTooLarge()
  if (errcode === 'M_NOT_YET_UPLOADED') {
    return new MatrixError('M_NOT_YET_UPLOADED', 504, 'This media has not been uploaded yet')
  }
  if (status === 404 || status === 410) return notFound('The server that this media is from does not have it')
  if (status === 429) return limitExceeded(5_000)
  return new RemoteError(destination, 'refused', error.message)
}

function ignore(): void {
  // What is thrown away may end as it likes.
}
