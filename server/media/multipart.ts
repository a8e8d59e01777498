/**
 * The `multipart/mixed` of media between servers: exactly two parts, an object of JSON, then the bytes or a `Location`.
 * Spec: data/api/server-server/content_repository.yaml; RFC 2046 §5.1. Read as a stream, and strictly: line ends are CRLF, and
 * what is not ended by the closing delimiter is not whole.
 */
import type { Readable } from 'node:stream'
import { isJsonObject, parseJson } from '../protocol/json.ts'

/** Before the first delimiter, and the headers of one part. */
const MAX_PREAMBLE_BYTES = 4 * 1024
const MAX_HEADER_BYTES = 16 * 1024
const MAX_HEADERS = 50
const MAX_JSON_BYTES = 64 * 1024
/** Everything around the bytes, for limits on the whole answer. */
export const MAX_AROUND_BYTES = MAX_PREAMBLE_BYTES + 2 * MAX_HEADER_BYTES + MAX_JSON_BYTES + 1024

const CRLF = Buffer.from('\r\n')
const END_OF_HEADERS = Buffer.from('\r\n\r\n')
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/

/** What is wrong with an answer, as a sentence for the log. */
export class NotMultipart extends Error {
  override readonly name = 'NotMultipart'
}

export interface MediaPart {
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>
  /** To be read to its end, or returned from; throws NotMultipart where the end is missing. */
  readonly bytes: AsyncGenerator<Buffer, void, void>
}

/**
 * The boundary of a `Content-Type: multipart/mixed`.
 * @throws NotMultipart
 */
export function boundaryOf(contentType: string | undefined): string {
  const parameters = /^\s*multipart\/mixed\s*;(.*)$/is.exec(contentType ?? '')?.[1] ?? ''
  const match = /(?:^|;)\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(parameters)
  const boundary = match?.[1]?.replaceAll(/\\(.)/g, '$1') ?? match?.[2]
  if (boundary === undefined || !BOUNDARY.test(boundary)) throw new NotMultipart('the answer names no boundary')
  return boundary
}

/**
 * Reads up to the bytes of the second part.
 * @throws NotMultipart; whatever the stream breaks off with
 */
export async function readMediaParts(body: Readable, boundary: string): Promise<MediaPart> {
  const reader = new PartReader(body, boundary)
  await reader.toFirstPart()
  await reader.headers()
  await reader.json()
  const headers = await reader.headers()
  return { headers, bytes: reader.lastBytes() }
}

class PartReader {
  readonly #chunks: AsyncIterator<Buffer>
  /** What ends a part: the line end before the boundary belongs to it. */
  readonly #delimiter: Buffer
  /** Read and not yet used. A line end goes before all, so that a first delimiter without preamble is like all others. */
  #rest: Buffer = CRLF

  constructor(body: Readable, boundary: string) {
    this.#chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#chunks.next()
    if (done === true) throw new NotMultipart('the answer ends before its closing delimiter')
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value])
  }

  /** @returns the bytes up to the text, which is taken away with them */
  async #upTo(text: Buffer, maxBytes: number, what: string): Promise<Buffer> {
    for (let from = 0; ; ) {
      const at = this.#rest.indexOf(text, from)
      if ((at === -1 ? this.#rest.length - text.length : at) > maxBytes) throw new NotMultipart(`${what} is too long`)
      if (at !== -1) {
        const before = this.#rest.subarray(0, at)
        this.#rest = this.#rest.subarray(at + text.length)
        return before
      }
      from = Math.max(0, this.#rest.length - text.length + 1)
      await this.#more()
    }
  }

  /** What comes after a delimiter. */
  async #ending(): Promise<'part' | 'close' | 'text'> {
    while (this.#rest.length < 2) await this.#more()
    const next = this.#rest.toString('latin1', 0, 2)
    return next === '\r\n' ? 'part' : next === '--' ? 'close' : 'text'
  }

  async #nextPart(maxBytes: number, what: string): Promise<Buffer> {
    const before = await this.#upTo(this.#delimiter, maxBytes, what)
    if ((await this.#ending()) !== 'part') throw new NotMultipart(`${what} is followed by no further part`)
    // The line end stays: where a part has no headers, it is half of the empty line.
    return before
  }

  async toFirstPart(): Promise<void> {
    await this.#nextPart(MAX_PREAMBLE_BYTES, 'what comes before the first part')
  }

  async headers(): Promise<ReadonlyMap<string, string>> {
    const text = (await this.#upTo(END_OF_HEADERS, MAX_HEADER_BYTES, 'the headers of a part')).toString('utf8')
    const lines = text.split('\r\n').filter((line) => line !== '')
    if (lines.length > MAX_HEADERS) throw new NotMultipart('a part has too many headers')
    const headers = new Map<string, string>()
    for (const line of lines) {
      const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line)
      // Nothing but a space may continue a header, and nobody sends media with that.
      if (!match?.[1]) throw new NotMultipart('a header of a part is malformed')
      const name = match[1].toLowerCase()
      if (headers.has(name)) throw new NotMultipart('a header of a part is there twice')
      headers.set(name, match[2] ?? '')
    }
    return headers
  }

  async json(): Promise<void> {
    const text = (await this.#nextPart(MAX_JSON_BYTES, 'the JSON')).toString('utf8')
    try {
      if (isJsonObject(parseJson(text))) return
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause
    }
    throw new NotMultipart('the first part is no JSON object')
  }

  async *lastBytes(): AsyncGenerator<Buffer, void, void> {
    try {
      for (;;) {
        const at = this.#rest.indexOf(this.#delimiter)
        if (at === -1) {
          // The delimiter may have begun in the last bytes.
          const sure = this.#rest.length - this.#delimiter.length + 1
          if (sure > 0) {
            yield this.#rest.subarray(0, sure)
            this.#rest = this.#rest.subarray(sure)
          }
          await this.#more()
          continue
        }
        if (at > 0) yield this.#rest.subarray(0, at)
        this.#rest = this.#rest.subarray(at + this.#delimiter.length)
        const ending = await this.#ending()
        if (ending === 'close') return
        if (ending === 'part') throw new NotMultipart('the answer has more than two parts')
        // A longer line that only begins like the delimiter.
        yield this.#delimiter
      }
    } finally {
      await this.#chunks.return?.()
    }
  }
}

/** What surrounds the bytes of an answer of ours. */
export function partsAround(
  boundary: string,
  headers: Readonly<Record<string, string>>,
): { readonly before: Buffer; readonly after: Buffer } {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return {
    before: Buffer.from(
      `--${boundary}\r\nContent-Type: application/json\r\n\r\n{}\r\n--${boundary}\r\n${lines.join('')}\r\n`,
    ),
    after: Buffer.from(`\r\n--${boundary}--\r\n`),
  }
}
