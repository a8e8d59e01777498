import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import {
  AddressGuard,
  createOutbound,
  guardedLookup,
  type Outbound,
  RemoteError,
  readTrustedCa,
} from '../../server/net/index.ts'

const owned: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

function outboundTo(...allowed: string[]): Outbound {
  return outboundTrusting([], ...allowed)
}

function outboundTrusting(trustedCa: readonly string[], ...allowed: string[]): Outbound {
  const outbound = createOutbound({ guard: new AddressGuard(allowed), trustedCa })
  owned.push(outbound)
  return outbound
}

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** @returns `http://127.0.0.1:port` */
const serve = (handle: RequestListener): Promise<string> => listening(createServer(handle))

/** A server whose certificate is for `alpha.test` and `127.0.0.1`. @returns `http://127.0.0.1:port` */
function serveTls(handle: RequestListener): Promise<string> {
  const [cert, key] = [readFileSync(fixture('first.crt')), readFileSync(fixture('first.key'))]
  return listening(createTlsServer({ cert, key }, handle))
}

async function listening(
  server: ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>,
): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  owned.push({
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const bounds = { timeoutMs: 5_000, maxBytes: 1_000 }
const failureOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(RemoteError)
  return (error as RemoteError).failure
}

describe('outgoing requests', () => {
  it('give the whole answer', async () => {
    const url = await serve(async (request, response) => {
      response.writeHead(201, { 'content-type': 'text/plain', 'X-Twice': ['a', 'b'] })
      response.end(`${request.method} ${request.url} ${request.headers['x-mine']} ${await text(request)}`)
    })
    const request = {
      ...bounds,
      url: `${url}/a?b=1`,
      method: 'POST',
      headers: { 'x-mine': 'm' },
      body: 'body',
    } as const
    const { status, headers, body } = await outboundTo('127.0.0.0/8').fetch(request)
    expect([status, headers['content-type'], headers['x-twice']]).toEqual([201, 'text/plain', 'a, b'])
    expect(String(body)).toBe('POST /a?b=1 m body')
  })

  it('go to no address that is not allowed, by number or by name, and no byte is sent', async () => {
    let requests = 0
    const url = await serve((_request, response) => {
      requests += 1
      response.end()
    })
    const port = new URL(url).port
    const outbound = outboundTo()
    for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0x7f.1', '2130706433', '[::1]']) {
      expect(await failureOf(outbound.fetch({ ...bounds, url: `http://${host}:${port}/` }))).toBe('refused')
    }
    const connectTo = { host: '127.0.0.1', port: Number(port) }
    expect(await failureOf(outbound.fetch({ ...bounds, url: 'http://example.org/', connectTo }))).toBe('refused')
    expect(requests).toBe(0)
  })

  it('connect only to addresses that were checked, out of all that a name has', async () => {
    const guard = new AddressGuard(['127.0.0.0/8'])
    const found = await new Promise((resolve, reject) =>
      guardedLookup(guard)('localhost', { all: true }, (error, addresses) =>
        error ? reject(error) : resolve(addresses),
      ),
    )
    expect(found).toEqual([{ address: '127.0.0.1', family: 4 }])
  })

  it('check every redirect anew', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(302, { location: 'http://10.0.0.1/secret' }).end()
    })
    const outbound = outboundTo('127.0.0.0/8')
    expect(await failureOf(outbound.fetch({ ...bounds, url, maxRedirects: 3 }))).toBe('refused')
    expect((await outbound.fetch({ ...bounds, url })).status).toBe(302)
  })

  it('follow redirects up to their number, and no further', async () => {
    const url = await serve((request, response) => {
      const n = Number(request.url?.slice(1))
      if (n === 0) response.end('there')
      else response.writeHead(307, { location: `/${n - 1}` }).end('x'.repeat(500))
    })
    const outbound = outboundTo('127.0.0.0/8')
    const answer = await outbound.fetch({ ...bounds, url: `${url}/3`, maxRedirects: 3 })
    expect([String(answer.body), answer.url]).toEqual(['there', `${url}/0`])
    expect(await failureOf(outbound.fetch({ ...bounds, url: `${url}/4`, maxRedirects: 3 }))).toBe('badAnswer')
  })

  it('do not hand secrets on to another host', async () => {
    const seen: IncomingMessage['headers'][] = []
    const other = await serve((request, response) => {
      seen.push(request.headers)
      response.end()
    })
    const url = await serve((_request, response) => response.writeHead(302, { location: other }).end())
    const headers = { Authorization: 'Bearer secret', 'x-mine': 'm' }
    await outboundTo('127.0.0.0/8').fetch({ ...bounds, url, headers, maxRedirects: 1 })
    expect([seen[0]?.authorization, seen[0]?.['x-mine']]).toEqual([undefined, 'm'])
  })

  it.each([
    ['declared', (response: ServerResponse) => response.writeHead(200, { 'content-length': '2000' })],
    ['not declared', (response: ServerResponse) => response.writeHead(200)],
  ])('break off an answer that is too long, its length %s', async (_what, begin) => {
    const url = await serve((_request, response) => begin(response).end('x'.repeat(2_000)))
    expect(await failureOf(outboundTo('127.0.0.0/8').fetch({ ...bounds, url }))).toBe('badAnswer')
  })

  it('end when their time is up', async () => {
    const url = await serve((_request, response) => response.writeHead(200).write('a'))
    const outbound = outboundTo('127.0.0.0/8')
    expect(await failureOf(outbound.fetch({ ...bounds, url, timeoutMs: 50 }))).toBe('timeout')
  })

  it('say that nobody is there', async () => {
    const url = await serve(() => {})
    await owned.pop()?.[Symbol.asyncDispose]()
    expect(await failureOf(outboundTo('127.0.0.0/8').fetch({ ...bounds, url }))).toBe('unreachable')
  })

  it.each(['ftp://example.org/', 'file:///etc/passwd', 'http://user:pass@example.org/', 'nonsense'])(
    'are not made to %s',
    async (url) => expect(await failureOf(outboundTo().fetch({ ...bounds, url }))).toBe('badAnswer'),
  )

  it('give the body as it comes', async () => {
    const url = await serve((_request, response) => response.end('x'.repeat(1_000)))
    const { body } = await outboundTo('127.0.0.0/8').open({ ...bounds, url })
    expect(await text(body)).toHaveLength(1_000)
  })
})

describe('outgoing TLS connections', () => {
  const trusted = readTrustedCa(fixture('ca.crt'))
  const to = async (name: string): Promise<{ url: string; connectTo: { host: string; port: number } }> => {
    const { port } = new URL(await serveTls((request, response) => response.end(request.headers.host)))
    return { url: `https://${name}:8448/`, connectTo: { host: '127.0.0.1', port: Number(port) } }
  }

  it('trust the owner’s authority, and connect where they are told while the name stays', async () => {
    const target = await to('alpha.test')
    const { body } = await outboundTrusting(trusted, '127.0.0.0/8').fetch({ ...bounds, ...target })
    expect(String(body)).toBe('alpha.test:8448')
  })

  it('trust nobody else', async () => {
    const target = await to('alpha.test')
    expect(await failureOf(outboundTo('127.0.0.0/8').fetch({ ...bounds, ...target }))).toBe('unreachable')
  })

  it('go on only where the certificate has the name', async () => {
    const target = await to('beta.test')
    expect(await failureOf(outboundTrusting(trusted, '127.0.0.0/8').fetch({ ...bounds, ...target }))).toBe(
      'unreachable',
    )
  })

  it('take a certificate for an address', async () => {
    const url = (await serveTls((_request, response) => response.end('there'))).replace('http:', 'https:')
    const { body } = await outboundTrusting(trusted, '127.0.0.0/8').fetch({ ...bounds, url })
    expect(String(body)).toBe('there')
  })
})
