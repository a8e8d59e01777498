import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseJson } from '../../server/protocol/json.ts'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'
import type { ForeignServer, SignedBy } from '../support/foreign-server.ts'
import { type Rig, type RigOptions, startRig } from './rig.ts'

let rig: Rig
let there: ForeignServer
async function start(options?: RigOptions): Promise<void> {
  rig = await startRig(options)
  there = await rig.foreign('there.test')
}
beforeEach(() => start())
afterEach(() => rig[Symbol.asyncDispose]())

interface Sent {
  readonly status: number
  readonly body: Record<string, unknown>
}

async function send(request: SignedBy, init: { headers?: Record<string, string>; text?: string } = {}): Promise<Sent> {
  const { method, uri, content } = request
  const response = await fetch(rig.url + uri, {
    method,
    headers: { authorization: there.authorization(request), ...init.headers },
    ...(method !== 'GET' && { body: init.text ?? JSON.stringify(content) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const PUT = { method: 'PUT', uri: '/_matrix/federation/v1/echo/x', destination: 'here.test', content: { needed: 'y' } }
const GET = { method: 'GET', uri: '/_matrix/federation/v1/who?n=1', destination: 'here.test' }
const unauthorized = { status: 401, body: { errcode: 'M_UNAUTHORIZED' } }
const withHeader = (request: SignedBy, authorization: string) => send(request, { headers: { authorization } })

describe('server-server-api §Request Authentication', () => {
  it('knows who asks by the signature of method, target and body', async () => {
    expect(await send(GET)).toEqual({ status: 200, body: { from: 'there.test' } })
    expect(await send(PUT)).toEqual({ status: 200, body: { from: 'there.test', body: '{"needed":"y"}' } })
  })

  it('asks for the keys of a server once, and not again while they are good', async () => {
    for (let i = 0; i < 3; i += 1) expect((await send(GET)).status).toBe(200)
    expect(there.asked).toHaveLength(1)
  })

  it.each([
    ['in another order of keys', '{"z":[1,{"b":2,"a":1}],"needed":"y"}'],
    ['with numbers that JavaScript cannot hold', '{"needed":"y","n":12345678901234567890,"f":1.0,"e":1E+2}'],
    ['with keys that are names of JavaScript', '{"needed":"y","__proto__":{"a":1},"constructor":2}'],
    ['with text beyond ASCII', '{"needed":"日本 \\ud83c\\udf89 \\u0000"}'],
  ])('checks the signature of a body %s over its canonical form', async (_what, text) => {
    expect((await send({ ...PUT, content: parseJson(text) }, { text })).status).toBe(200)
  })

  it.each([
    ['no header', {}],
    ['an access token', { authorization: 'Bearer secret' }],
    ['an empty header', { authorization: 'X-Matrix ' }],
    ['no signature', { authorization: 'X-Matrix origin="there.test",destination="here.test",key="ed25519:1"' }],
    ['no origin', { authorization: 'X-Matrix destination="here.test",key="ed25519:1",sig="aaaa"' }],
    ['an origin that is no server name', { authorization: 'X-Matrix origin="a b",key="ed25519:1",sig="aaaa"' }],
    ['a quote that does not end', { authorization: 'X-Matrix origin="there.test,key="ed25519:1",sig="aaaa' }],
    ['the same thing twice', { authorization: 'X-Matrix origin=there.test,origin=a.test,key="ed25519:1",sig="a"' }],
  ])('refuses %s', async (_what, headers) => {
    const response = await fetch(rig.url + GET.uri, { headers })
    expect([response.status, await response.json()]).toEqual([
      401,
      expect.objectContaining({ errcode: 'M_UNAUTHORIZED' }),
    ])
    expect(there.asked).toEqual([])
  })

  it('refuses a request for another server, whoever signed it, before its keys are asked for', async () => {
    expect(await send({ ...GET, destination: 'elsewhere.test' })).toMatchObject(unauthorized)
    expect(there.asked).toEqual([])
  })

  it('takes requests of old servers, which leave the destination out of the header but sign it', async () => {
    expect(await withHeader(GET, there.authorization(GET, { destination: undefined }))).toMatchObject({ status: 200 })
    const forElsewhere = there.authorization({ ...GET, destination: 'elsewhere.test' }, { destination: undefined })
    expect(await withHeader(GET, forElsewhere)).toMatchObject(unauthorized)
  })

  it('refuses requests that claim to be ours', async () => {
    expect(await withHeader(GET, there.authorization({ ...GET, origin: 'here.test' }))).toMatchObject(unauthorized)
  })

  it('refuses a signature that was made for another method, target, body or origin', async () => {
    const other = await rig.foreign('other.test')
    for (const [request, signedFor] of [
      [GET, { ...GET, uri: '/_matrix/federation/v1/who?n=2' }],
      [GET, { ...GET, uri: '/_matrix/federation/v1/who' }],
      [GET, { ...GET, method: 'PUT' }],
      [PUT, { ...PUT, content: { needed: 'z' } }],
      [PUT, { method: 'PUT', uri: PUT.uri, destination: PUT.destination }],
    ] as const) {
      expect(await withHeader(request, there.authorization(signedFor))).toMatchObject(unauthorized)
    }
    expect(await withHeader(GET, other.authorization({ ...GET, origin: 'there.test' }))).toMatchObject(unauthorized)
    expect((await send(GET)).status).toBe(200)
  })

  it('refuses a key that the server does not publish, or only as an old one', async () => {
    const { key } = there
    const old = makeSigningKey(Buffer.alloc(32, 77), 'old')
    there.document = (own) => ({ ...own, old_verify_keys: { [old.keyId]: { key: old.publicKey, expired_ts: 1 } } })
    expect((await send(GET)).status).toBe(200)
    for (const other of [old, makeSigningKey(Buffer.alloc(32, 78), 'never')]) {
      there.key = other
      const header = there.authorization(GET)
      there.key = key
      expect(await withHeader(GET, header)).toMatchObject(unauthorized)
    }
  })

  it('asks anew for keys that are not good any more, and refuses while it gets none', async () => {
    expect((await send(GET)).status).toBe(200)
    rig.clock.advance(25 * 3_600_000)
    rig.srv.clear()
    expect(await send(GET)).toMatchObject(unauthorized)
    rig.srv.set('_matrix-fed._tcp.there.test', [{ name: 'there.test', port: there.port, priority: 1, weight: 1 }])
    rig.clock.advance(10 * 60_000)
    expect((await send(GET)).status).toBe(200)
    expect(there.asked).toHaveLength(2)
  })

  it.each([
    ['without quotes', (h: string) => h.replaceAll('"', '')],
    [
      'with other case and white space',
      (h: string) => h.replace('X-Matrix ', 'x-matrix   ').replaceAll(',', ' ,\t').replace('origin=', 'ORIGIN='),
    ],
    ['with escaped characters', (h: string) => h.replace('there.test', 'there\\.\\t\\est')],
    ['with parameters that nobody knows', (h: string) => `${h},new="thing, with \\"comma",`],
    ['with the name that the parameter has in the list', (h: string) => h.replace('sig=', 'signature=')],
  ])('reads a header %s', async (_what, change) => {
    expect((await withHeader(GET, change(there.authorization(GET)))).status).toBe(200)
  })

  it('takes several headers of one server, where none is wrong, and never of two', async () => {
    const raw = (lines: readonly string[]) => rawRequest(`GET ${GET.uri} HTTP/1.1`, lines)
    const first = there.authorization(GET)
    const second = makeSigningKey(Buffer.alloc(32, 79), 'second')
    const { key } = there
    there.document = (own) => ({
      ...own,
      verify_keys: { [key.keyId]: { key: key.publicKey }, [second.keyId]: { key: second.publicKey } },
    })
    there.key = second
    const other = there.authorization(GET)
    there.key = key
    const line = (header: string) => `Authorization: ${header}`
    expect(await raw([line(first), line(other)])).toContain(' 200 ')
    expect(await raw([line(first), line(other.replace(/sig="[^"]{4}/, 'sig="AAAA'))])).toContain(' 401 ')
    expect(await raw([line(first), line(there.authorization({ ...GET, origin: 'other.test' }))])).toContain(' 401 ')
    expect(await raw(Array.from({ length: 5 }, () => line(first)))).toContain(' 401 ')
  })

  it('proves who asks before it says what is wrong with the request', async () => {
    const bad = { ...PUT, content: { needed: 5 } }
    expect(await withHeader(bad, there.authorization({ ...bad, content: { needed: 6 } }))).toMatchObject(unauthorized)
    expect(await send(bad)).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    expect(await send({ ...GET, uri: '/_matrix/federation/v1/who?n=x' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })

  it('needs no Content-Type', async () => {
    const init = { headers: { 'content-type': 'text/plain' } }
    expect((await send(PUT, init)).status).toBe(200)
  })

  it.each([
    ['no JSON', '{"needed":', 'M_NOT_JSON'],
    ['nested too deeply', `{"needed":${'['.repeat(2_000)}${']'.repeat(2_000)}}`, 'M_BAD_JSON'],
    ['half of a surrogate pair', '{"needed":"\\ud800"}', 'M_BAD_JSON'],
  ])('refuses a body that is %s', async (_what, text, errcode) => {
    expect(await send(PUT, { text })).toMatchObject({ status: 400, body: { errcode } })
  })

  it('refuses a body that is too long by its declared length, and one that only turns out to be', async () => {
    const text = JSON.stringify({ needed: 'x'.repeat(20_000) })
    expect(await send(PUT, { text })).toMatchObject({ status: 413, body: { errcode: 'M_TOO_LARGE' } })
    expect(await endlessRequest({ authorization: there.authorization(PUT) })).toBe(413)
    expect(there.asked).toEqual([])
  })
})

describe('limits for each other server', () => {
  beforeEach(async () => {
    await rig[Symbol.asyncDispose]()
    await start({ isLimited: true })
  })

  it('answer 429 with a time after many requests, and leave others alone', async () => {
    const other = await rig.foreign('other.test')
    const answers: Sent[] = []
    for (let i = 0; i < 501; i += 1) answers.push(await send(GET))
    const last = answers.at(-1)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(500)
    expect(last).toMatchObject({
      status: 429,
      body: { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: expect.any(Number) },
    })
    expect((await withHeader(GET, other.authorization(GET))).status).toBe(200)
    rig.clock.advance(1_000)
    expect((await send(GET)).status).toBe(200)
  })

  it('are used up by nobody who only claims to be that server', async () => {
    const forged = there.authorization(GET, { sig: 'A'.repeat(86) })
    for (let i = 0; i < 501; i += 1) await withHeader(GET, forged)
    expect((await send(GET)).status).toBe(200)
  })
})

/** @returns the answer's status line */
function rawRequest(requestLine: string, headers: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(rig.url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write([requestLine, 'Host: here.test', 'Connection: close', ...headers, '', ''].join('\r\n'))
    })
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.on('end', () => resolve(answer.split('\r\n')[0] ?? ''))
    socket.on('error', reject)
  })
}

/** A body that never ends. @returns the answer's status */
function endlessRequest(headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(rig.url + PUT.uri, { method: 'PUT', headers, agent: false }, (response) => {
      resolve(response.statusCode)
      sent.destroy()
    })
    sent.on('error', reject)
    const more = (): void => {
      if (!sent.destroyed) sent.write('x'.repeat(4_096), () => setImmediate(more))
    }
    more()
  })
}
