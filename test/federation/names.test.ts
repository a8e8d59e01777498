import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError } from '../../server/net/index.ts'
import { type ForeignServer, sendJson, startForeignServer } from '../support/foreign-server.ts'
import { echo, type Rig, type RigOptions, startRig, whoAsks } from './rig.ts'

let rig: Rig
const owned: AsyncDisposable[] = []
const start = async (options?: RigOptions): Promise<void> => {
  rig = await startRig(options)
}
beforeEach(() => start())
afterEach(async () => {
  for (const one of owned.splice(0)) await one[Symbol.asyncDispose]()
  await rig[Symbol.asyncDispose]()
})

/** A server with a certificate for these names, which answers everything as `whoAsks`. */
async function serving(certifiedFor: readonly string[], address = '127.0.0.1'): Promise<ForeignServer> {
  const server = await startForeignServer({ ca: rig.ca, name: certifiedFor[0] ?? '', certifiedFor, address })
  owned.push(server)
  server.answer = (_asked, response) => sendJson(response, 200, { from: 'it' })
  return server
}

/** What answers `https://<hostname>/.well-known/matrix/server`. */
async function wellKnownOf(
  hostname: string,
  answer: ForeignServer['answer'],
  certifiedFor: readonly string[] = [hostname],
): Promise<ForeignServer> {
  const server = await serving(certifiedFor)
  server.answer = answer
  rig.addresses.set(hostname, '127.0.0.1')
  rig.wellKnownPorts.set(hostname, server.port)
  return server
}
const delegating =
  (name: unknown, headers: Record<string, string> = {}): ForeignServer['answer'] =>
  (_asked, response) => {
    response.writeHead(200, headers).end(JSON.stringify({ 'm.server': name }))
  }

const ask = (serverName: string) => rig.federation.client.call(serverName, whoAsks, { path: {}, evenIfBackedOff: true })
const failureOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(RemoteError)
  return (error as RemoteError).failure
}
/** What the server saw of the request: its `Host` header, and the name in the handshake. */
const seenBy = ({ asked }: ForeignServer) => asked.map(({ headers, sni }) => [headers.host, sni])
const record = (name: string, port: number, priority = 1, weight = 1) => ({ name, port, priority, weight })

describe('server-server-api §Resolving server names', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]', '::1'],
  ])('1: goes to the address %s itself, whose certificate is for the address, without SNI', async (host, address) => {
    const server = await serving([address], address)
    const name = `${host}:${server.port}`
    expect(await ask(name)).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([[name, false]])
    expect(rig.lookedUp).toEqual([])
  })

  it('1: goes to port 8448 of an address without one', async () => {
    const { message } = (await ask('127.0.0.1').catch((error: unknown) => error)) as Error
    expect(message).toContain(':8448')
  })

  it('1: refuses a certificate that is not for the address', async () => {
    const server = await serving(['other.test'])
    expect(await failureOf(ask(`127.0.0.1:${server.port}`))).toBe('unreachable')
    expect(server.asked).toEqual([])
  })

  it('2: goes to the given port of a name, with the port in the Host header and the certificate for the name', async () => {
    const server = await serving(['example.test'])
    rig.addresses.set('example.test', '127.0.0.1')
    const name = `example.test:${server.port}`
    expect(await ask(name)).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([[name, 'example.test']])
    expect(rig.lookedUp).toEqual([])
  })

  it('3.1: goes to the address that .well-known names', async () => {
    const server = await serving(['127.0.0.1'])
    await wellKnownOf('example.test', delegating(`127.0.0.1:${server.port}`))
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([[`127.0.0.1:${server.port}`, false]])
  })

  it('3.2: goes to the name and port that .well-known names', async () => {
    const server = await serving(['matrix.example.test'])
    rig.addresses.set('matrix.example.test', '127.0.0.1')
    await wellKnownOf('example.test', delegating(`matrix.example.test:${server.port}`))
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([[`matrix.example.test:${server.port}`, 'matrix.example.test']])
    expect(rig.lookedUp).toEqual([])
  })

  it.each([
    ['3.3', '_matrix-fed._tcp'],
    ['3.4', '_matrix._tcp'],
  ])('%s: goes by the %s record of the name that .well-known names', async (_step, service) => {
    const server = await serving(['matrix.example.test'])
    rig.addresses.set('host.example.test', '127.0.0.1')
    rig.srv.set(`${service}.matrix.example.test`, [record('host.example.test', server.port)])
    await wellKnownOf('example.test', delegating('matrix.example.test'))
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([['matrix.example.test', 'matrix.example.test']])
  })

  it('3.5: goes to port 8448 of the name that .well-known names, where it has no record', async () => {
    rig.addresses.set('matrix.example.test', '127.0.0.1')
    await wellKnownOf('example.test', delegating('matrix.example.test'))
    const { message } = (await ask('example.test').catch((error: unknown) => error)) as Error
    expect(message).toContain('127.0.0.1:8448')
    expect(rig.lookedUp).toEqual(['_matrix-fed._tcp.matrix.example.test', '_matrix._tcp.matrix.example.test'])
  })

  it.each([
    ['4', '_matrix-fed._tcp'],
    ['5', '_matrix._tcp'],
  ])('%s: goes by the %s record of the name itself, whose certificate it is', async (_step, service) => {
    const server = await serving(['example.test'])
    rig.addresses.set('host.example.test', '127.0.0.1')
    rig.srv.set(`${service}.example.test`, [record('host.example.test', server.port)])
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(seenBy(server)).toEqual([['example.test', 'example.test']])
  })

  it('4: refuses a certificate that is only for the host that the record names', async () => {
    const server = await serving(['host.example.test'])
    rig.addresses.set('host.example.test', '127.0.0.1')
    rig.srv.set('_matrix-fed._tcp.example.test', [record('host.example.test', server.port)])
    expect(await failureOf(ask('example.test'))).toBe('unreachable')
    expect(server.asked).toEqual([])
  })

  it('4: does not look at the deprecated record where there is the new one', async () => {
    const server = await serving(['example.test'])
    rig.addresses.set('example.test', '127.0.0.1')
    rig.srv.set('_matrix-fed._tcp.example.test', [record('example.test', server.port)])
    await ask('example.test')
    expect(rig.lookedUp).toEqual(['_matrix-fed._tcp.example.test'])
  })

  it('6: goes to port 8448 of the name where there is nothing else', async () => {
    rig.addresses.set('example.test', '127.0.0.1')
    const { message } = (await ask('example.test').catch((error: unknown) => error)) as Error
    expect(message).toContain('127.0.0.1:8448')
  })

  it('tries the targets of a record by priority until one is there', async () => {
    const [last, never] = [await serving(['example.test']), await serving(['example.test'])]
    const gone = await startForeignServer({ ca: rig.ca, name: 'example.test' })
    await gone[Symbol.asyncDispose]()
    for (const name of ['a.test', 'b.test', 'c.test']) rig.addresses.set(name, '127.0.0.1')
    rig.srv.set('_matrix-fed._tcp.example.test', [
      record('c.test', never.port, 30),
      record('b.test', last.port, 20),
      record('nowhere.test', 1, 15),
      record('a.test', gone.port, 10),
    ])
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect([last.asked.length, never.asked.length]).toEqual([1, 0])
  })

  it('spreads requests over targets of the same priority by weight', async () => {
    const [often, seldom] = [await serving(['example.test']), await serving(['example.test'])]
    rig.addresses.set('a.test', '127.0.0.1')
    rig.srv.set('_matrix-fed._tcp.example.test', [
      record('a.test', often.port, 1, 90),
      record('a.test', seldom.port, 1, 10),
    ])
    for (let i = 0; i < 60; i += 1) await ask('example.test')
    expect(often.asked.length).toBeGreaterThan(40)
    expect(seldom.asked.length).toBeGreaterThan(0)
  })

  it('goes nowhere where the record says that there is no server', async () => {
    rig.addresses.set('example.test', '127.0.0.1')
    rig.srv.set('_matrix-fed._tcp.example.test', [record('', 0)])
    expect(await failureOf(ask('example.test'))).toBe('unreachable')
  })

  it.each(['1.2.3', '0x7f.1', '2130706433', 'a b', '', 'x'.repeat(300), 'exa_mple.test'])(
    'goes nowhere for %s, which is no name or would be another in a URL',
    async (name) => {
      expect(await failureOf(ask(name))).toBe('unreachable')
    },
  )

  it('goes to no private address, by whatever way the name leads there', async () => {
    await rig[Symbol.asyncDispose]()
    await start({ allow: [] })
    const server = await serving(['example.test', '127.0.0.1'])
    rig.addresses.set('example.test', '127.0.0.1')
    expect(await failureOf(ask(`example.test:${server.port}`))).toBe('refused')
    expect(await failureOf(ask(`127.0.0.1:${server.port}`))).toBe('refused')
    expect(await failureOf(ask(`[::ffff:127.0.0.1]:${server.port}`))).toBe('refused')
    rig.srv.set('_matrix-fed._tcp.example.test', [record('127.0.0.1', server.port)])
    expect(await failureOf(ask('example.test'))).toBe('refused')
    expect(server.asked).toEqual([])
  })
})

describe('server-server-api §Resolving server names, step 3: .well-known', () => {
  /** Goes by the name's own record unless .well-known is believed. */
  async function fallback(): Promise<ForeignServer> {
    const server = await serving(['example.test'])
    rig.srv.set('_matrix-fed._tcp.example.test', [record('example.test', server.port)])
    return server
  }

  it.each([
    ['is not there', (_asked, response) => sendJson(response, 404, {})],
    ['is no JSON', (_asked, response) => void response.end('<html>')],
    ['names nothing', (_asked, response) => sendJson(response, 200, { 'm.homeserver': {} })],
    ['names no server name', delegating('https://matrix.example.test')],
    ['names a number', delegating(8448)],
    ['names what would be another name in a URL', delegating('1.2.3')],
    [
      'is an error with the right content',
      (_asked, response) => sendJson(response, 500, { 'm.server': 'other.test:1' }),
    ],
    [
      'is too long',
      (_asked, response) => void response.end(JSON.stringify({ pad: 'x'.repeat(60_000), 'm.server': 'a:1' })),
    ],
    [
      'leads to plain HTTP',
      (_asked, response) => void response.writeHead(302, { location: 'http://example.test/x' }).end(),
    ],
    ['leads to itself for ever', (asked, response) => void response.writeHead(302, { location: asked.url }).end()],
    [
      'leads to a private address',
      (_asked, response) => void response.writeHead(302, { location: 'https://10.0.0.1/' }).end(),
    ],
  ] as [string, ForeignServer['answer']][])('is passed over where it %s', async (_what, answer) => {
    const server = await fallback()
    const wellKnown = await wellKnownOf('example.test', answer)
    rig.wellKnownPorts.set('example.test', wellKnown.port)
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(server.asked).toHaveLength(1)
    expect(wellKnown.asked.length).toBeLessThanOrEqual(6)
  })

  it('is passed over where its certificate is not good', async () => {
    const server = await fallback()
    await wellKnownOf('example.test', delegating('evil.test:1'), ['evil.test'])
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(server.asked).toHaveLength(1)
  })

  it('follows redirects', async () => {
    const server = await serving(['matrix.example.test'])
    rig.addresses.set('matrix.example.test', '127.0.0.1')
    const other = await wellKnownOf('www.example.test', delegating(`matrix.example.test:${server.port}`))
    await wellKnownOf('example.test', (_asked, response) => {
      response.writeHead(301, { location: `https://www.example.test:${other.port}/elsewhere` }).end()
    })
    expect(await ask('example.test')).toEqual({ from: 'it' })
    expect(other.asked).toMatchObject([{ url: '/elsewhere' }])
  })

  const HOUR = 3_600_000
  it.each([
    ['a day, where it does not say', {}, 23 * HOUR, 2 * HOUR],
    ['as long as it says', { 'cache-control': 'public, max-age=7200' }, 1.9 * HOUR, 0.2 * HOUR],
    ['until the time that it says', { expires: new Date(Date.now() + 3 * HOUR).toUTCString() }, 2.9 * HOUR, 0.2 * HOUR],
    ['two days at most', { 'cache-control': 'max-age=99999999' }, 47 * HOUR, 2 * HOUR],
    ['five minutes at least', { 'cache-control': 'no-store' }, 4 * 60_000, 2 * 60_000],
  ])('is kept for %s', async (_what, headers, within, beyond) => {
    const server = await serving(['127.0.0.1'])
    const wellKnown = await wellKnownOf('example.test', delegating(`127.0.0.1:${server.port}`, headers))
    await ask('example.test')
    rig.clock.advance(within)
    await ask('example.test')
    expect(wellKnown.asked).toHaveLength(1)
    rig.clock.advance(beyond)
    await ask('example.test')
    expect(wellKnown.asked).toHaveLength(2)
  })

  it('is asked again more and more seldom while it fails, up to an hour', async () => {
    await fallback()
    const wellKnown = await wellKnownOf('example.test', (_asked, response) => sendJson(response, 500, {}))
    const counts: number[] = []
    for (const minutes of [0, 1, 2, 4, 8, 16, 32, 60, 60]) {
      rig.clock.advance(minutes * 60_000)
      await ask('example.test')
      await ask('example.test')
      counts.push(wellKnown.asked.length)
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('goes on to hold for two days while it cannot be asked', async () => {
    const server = await serving(['127.0.0.1'])
    await wellKnownOf('example.test', delegating(`127.0.0.1:${server.port}`, { 'cache-control': 'max-age=3600' }))
    await ask('example.test')
    rig.wellKnownPorts.set('example.test', 1)
    for (let i = 0; i < 40; i += 1) {
      rig.clock.advance(HOUR)
      expect(await ask('example.test')).toEqual({ from: 'it' })
    }
    rig.clock.advance(10 * HOUR)
    expect(await failureOf(ask('example.test'))).toBe('unreachable')
  })

  it('is asked once for many requests at the same time', async () => {
    const server = await serving(['127.0.0.1'])
    const wellKnown = await wellKnownOf('example.test', delegating(`127.0.0.1:${server.port}`))
    await Promise.all(Array.from({ length: 20 }, () => ask('example.test')))
    expect([wellKnown.asked.length, server.asked.length]).toEqual([1, 20])
  })
})

describe('requests to other servers', () => {
  it('never go to this server itself', async () => {
    expect(await failureOf(ask('here.test'))).toBe('refused')
  })

  it('are signed as the specification says, and bear what was signed', async () => {
    const server = await rig.foreign('there.test')
    server.answer = (_asked, response) => sendJson(response, 200, { from: 'x', body: 'y' })
    await rig.federation.client.call('there.test', echo, { path: { word: 'a/b ü' }, body: { needed: 'z' } })
    const { method, url, headers, body } = server.asked[0] ?? { method: '', url: '', headers: {}, body: '' }
    expect([method, url, body]).toEqual(['PUT', '/_matrix/federation/v1/echo/a%2Fb%20%C3%BC', '{"needed":"z"}'])
    const sent = /^X-Matrix origin="here.test",destination="there.test",key="ed25519:own",sig="([^"]+)"$/.exec(
      headers.authorization ?? '',
    )
    const { checkJsonSignature } = await import('../../server/protocol/signing.ts')
    const object = {
      method,
      uri: url,
      origin: 'here.test',
      destination: 'there.test',
      content: { needed: 'z' },
      signatures: { 'here.test': { 'ed25519:own': sent?.[1] ?? '' } },
    }
    const keyOf = () => rig.own.signingKey.publicKey
    expect(checkJsonSignature({ object, entity: 'here.test', keyOf })).toEqual({ ok: true })
  })

  it('go over the connection that is there', async () => {
    const server = await rig.foreign('there.test')
    const ports = new Set<number | undefined>()
    server.answer = (asked, response) => {
      ports.add(response.socket?.remotePort)
      expect(asked.headers.connection).toBe('keep-alive')
      sendJson(response, 200, { from: 'it' })
    }
    for (let i = 0; i < 8; i += 1) await ask('there.test')
    // The second may begin before the first one's connection is free again.
    expect(ports.size).toBeLessThanOrEqual(2)
  })

  it('tell an error of the other server from a page of its proxy', async () => {
    const server = await rig.foreign('there.test')
    server.answer = (_asked, response) => sendJson(response, 403, { errcode: 'M_FORBIDDEN', error: 'not you' })
    await expect(ask('there.test')).rejects.toMatchObject({ name: 'RemoteRefusal', status: 403, error: 'not you' })
    server.answer = (_asked, response) => void response.writeHead(502).end('<html>bad gateway')
    expect(await failureOf(ask('there.test'))).toBe('unreachable')
    server.answer = (_asked, response) => void response.writeHead(404).end('nothing here')
    await expect(ask('there.test')).rejects.toMatchObject({ name: 'RemoteRefusal', errcode: 'M_UNRECOGNIZED' })
  })

  it.each([
    ['no JSON', (_asked, response) => void response.writeHead(200).end('<html>')],
    ['no UTF-8', (_asked, response) => void response.writeHead(200).end(Buffer.from([0x7b, 0xff, 0x7d]))],
    ['of another shape', (_asked, response) => sendJson(response, 200, { from: 5 })],
    [
      'longer than it may be',
      (_asked, response) => void response.writeHead(200).end(`{"from":"${'x'.repeat(1_100_000)}"}`),
    ],
    ['a redirect', (_asked, response) => void response.writeHead(302, { location: 'https://10.0.0.1/' }).end()],
  ] as [string, ForeignServer['answer']][])('refuse an answer that is %s', async (_what, answer) => {
    const server = await rig.foreign('there.test')
    server.answer = answer
    expect(await failureOf(ask('there.test'))).toBe('badAnswer')
  })

  it('break off an answer that never ends, and one that never begins', async () => {
    const server = await rig.foreign('there.test')
    server.answer = (_asked, response) => {
      response.writeHead(200)
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(65_536), () => setImmediate(more))
      }
      more()
    }
    expect(await failureOf(ask('there.test'))).toBe('badAnswer')
    server.answer = () => undefined
    const wait = rig.federation.client.call('there.test', whoAsks, { path: {}, timeoutMs: 200 })
    expect(await failureOf(wait)).toBe('timeout')
  })

  it('back off from who is not there, from 1 s to 1 h, until they speak to us', async () => {
    const { backoff, client } = rig.federation
    const server = await rig.foreign('there.test')
    const records = rig.srv.get('_matrix-fed._tcp.there.test')
    rig.srv.delete('_matrix-fed._tcp.there.test')
    const delays: number[] = []
    for (let i = 0; i < 14; i += 1) {
      expect(await failureOf(ask('there.test'))).toBe('unreachable')
      const retryTs = backoff.retryTs('there.test') ?? 0
      delays.push(Math.round((retryTs - rig.clock.now()) / 1_000))
      rig.clock.advance(retryTs - rig.clock.now())
    }
    for (const [i, delay] of delays.entries()) {
      const base = Math.min(2 ** i, 3_600)
      expect(delay).toBeGreaterThanOrEqual(base)
      expect(delay).toBeLessThanOrEqual(Math.ceil(base * 1.2))
    }
    await failureOf(ask('there.test'))
    const soon = client.call('there.test', whoAsks, { path: {} })
    await expect(soon).rejects.toThrow('a short while ago')

    rig.srv.set('_matrix-fed._tcp.there.test', records ?? [])
    const back: string[] = []
    backoff.onBack((name) => back.push(name))
    const request = { method: 'GET', uri: '/_matrix/federation/v1/who', destination: 'here.test' }
    const response = await fetch(rig.url + request.uri, { headers: { authorization: server.authorization(request) } })
    expect([response.status, backoff.retryTs('there.test'), back]).toEqual([200, undefined, ['there.test']])
  })

  it('trust no authority but those of the system and the owner', async () => {
    const { makeTestCa } = await import('../support/certificates.ts')
    const server = await startForeignServer({ ca: await makeTestCa(), name: 'there.test' })
    owned.push(server)
    rig.addresses.set('there.test', '127.0.0.1')
    expect(await failureOf(ask(`there.test:${server.port}`))).toBe('unreachable')
  })

  it('go to no server whose TLS is older than 1.2', async () => {
    const { createServer } = await import('node:https')
    const fixture = (name: string): Buffer =>
      readFileSync(fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url)))
    const server = createServer(
      {
        cert: fixture('first.crt'),
        key: fixture('first.key'),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      },
      (_request, response) => response.end('{}'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    owned.push({ [Symbol.asyncDispose]: async () => void server.close() })
    const { port } = server.address() as { port: number }
    const { message } = (await ask(`127.0.0.1:${port}`).catch((error: unknown) => error)) as Error
    expect(message).toMatch(/version|alert|protocol/i)
  })
})
