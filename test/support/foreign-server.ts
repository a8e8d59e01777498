/**
 * A server in a test's hands, over real TLS, with a key of its own: it publishes its keys, answers what it is told to, keeps what
 * it was asked, and signs requests, rightly or wrongly.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { canonicalJson } from '../../server/protocol/canonical-json.ts'
import type { Json, JsonObject } from '../../server/protocol/pdu.ts'
import { signJson, signText } from '../../server/protocol/signing.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import type { TestCa } from './certificates.ts'

export interface AskedOf {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** The name that the TLS handshake asked for; `false`: none. */
  readonly sni: string | false
}

export interface ForeignServer extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** What it signs with, and publishes. */
  key: SigningKey
  /** Keys of its document, in the place of its own. */
  document: (own: JsonObject) => JsonObject
  /** All that it was asked, its keys included. */
  readonly asked: AskedOf[]
  /** Answers everything but its keys; 404 `M_UNRECOGNIZED` without it. */
  answer: (request: AskedOf, response: ServerResponse) => void | Promise<void>
  /** Answers for its keys, instead of its document. */
  answerKeys?: ForeignServer['answer'] | undefined
  /** The `Authorization` header of a request; `changes` are made after the signing. */
  authorization(request: SignedBy, changes?: Readonly<Record<string, string | undefined>>): string
}

export interface SignedBy {
  readonly method: string
  readonly uri: string
  readonly destination: string
  readonly content?: Json
  /** Instead of its own. */
  readonly origin?: string
}

export interface ForeignServerOptions {
  readonly ca: TestCa
  readonly name: string
  /** Names and addresses in its certificate, where not its own name. */
  readonly certifiedFor?: readonly string[]
  readonly address?: string
  /** For its key. */
  readonly seed?: number
  /** For `valid_until_ts`. */
  readonly now?: () => number
}

const DAY_MS = 86_400_000
let seeds = 100

export async function startForeignServer(options: ForeignServerOptions): Promise<ForeignServer> {
  const { ca, name, certifiedFor = [name.replace(/:\d+$/, '')], address = '127.0.0.1', now = Date.now } = options
  seeds += 1
  const { certificate, privateKey } = await ca.issue(certifiedFor)
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const sni = (request.socket as unknown as { servername?: string | false }).servername ?? false
    const asked = { method, url, headers, sni, body: await text(request) }
    self.asked.push(asked)
    if (self.answerKeys && url.startsWith('/_matrix/key/v2/')) await self.answerKeys(asked, response)
    else if (url.startsWith('/_matrix/key/v2/server')) sendJson(response, 200, documentOf(self, now()))
    else await self.answer(asked, response)
  }
  await new Promise<void>((resolve) => server.listen(0, address, resolve))

  const self: ForeignServer = {
    name,
    port: (server.address() as AddressInfo).port,
    key: makeSigningKey(Buffer.alloc(32, options.seed ?? seeds), `f${options.seed ?? seeds}`),
    document: (own) => own,
    asked: [],
    answer: (_asked, response) =>
      sendJson(response, 404, { errcode: 'M_UNRECOGNIZED', error: 'the test has no answer to this' }),
    authorization(request, changes = {}) {
      const { method, uri, destination, content, origin = name } = request
      const signed = { method, uri, origin, destination, ...(content !== undefined && { content }) }
      const parameters: Record<string, string | undefined> = {
        origin,
        destination,
        key: self.key.keyId,
        sig: signText(canonicalJson(signed, false), self.key),
        ...changes,
      }
      const parts = Object.entries(parameters).flatMap(([key, value]) =>
        value === undefined ? [] : `${key}="${value}"`,
      )
      return `X-Matrix ${parts.join(',')}`
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
  return self
}

/** The document of a server, signed with its key. */
function documentOf({ name, key, document }: ForeignServer, now: number): JsonObject {
  const own = document({
    server_name: name,
    verify_keys: { [key.keyId]: { key: key.publicKey } },
    old_verify_keys: {},
    valid_until_ts: now + DAY_MS,
  })
  return 'signatures' in own ? own : signJson(own, name, key)
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
