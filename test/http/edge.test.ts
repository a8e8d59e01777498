import { connect } from 'node:net'
import { Type } from 'typebox'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { mount, type Side } from '../../server/http/mount.ts'
import { RateLimits } from '../../server/http/rate-limit.ts'
import { Reply, type Route, route } from '../../server/http/route.ts'
import { type Listener, listen } from '../../server/net/index.ts'
import type { LogFields } from '../../server/observe/environment.ts'
import { StorageFailed, StorageFull } from '../../server/store/index.ts'
import { endpoint } from '../../shared/api/endpoint.ts'
import { forbidden, unknownToken } from '../../shared/matrix/errors.ts'
import { RoomId } from '../../shared/matrix/schemas.ts'
import { listDeclarations } from '../contract/declarations.ts'
import { type Api, createApi } from '../support/api.ts'
import { type ManualClock, manualClock } from '../support/manual-clock.ts'

const common = { auth: 'none', rateLimited: false, path: Type.Object({}), query: Type.Object({}), errors: {} } as const

const echo = endpoint({
  ...common,
  operationId: 'echo',
  method: 'PUT',
  url: '/_matrix/client/v3/rooms/{roomId}/echo/{key}',
  aliases: ['/_matrix/client/v3/rooms/{roomId}/echo', '/_matrix/client/v3/rooms/{roomId}/echo/'],
  path: Type.Object({ roomId: RoomId, key: Type.String() }),
  query: Type.Object({
    n: Type.Optional(Type.Integer({ minimum: 0 })),
    flag: Type.Optional(Type.Boolean()),
    dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
    via: Type.Optional(Type.Array(Type.String())),
  }),
  body: Type.Object({
    name: Type.Optional(Type.String()),
    by_name: Type.Optional(Type.Record(Type.String(), Type.Object({ size: Type.Integer() }))),
  }),
  reply: Type.Object({}),
})
const secret = endpoint({
  ...common,
  operationId: 'secret',
  method: 'POST',
  url: '/_matrix/client/v3/secret',
  auth: 'accessToken',
  rateLimited: true,
  body: Type.Object({ needed: Type.String() }),
  reply: Type.Object({}),
})
const maybe = endpoint({
  ...common,
  operationId: 'maybe',
  method: 'GET',
  url: '/_matrix/client/v3/maybe',
  auth: 'accessToken?',
  body: null,
  query: Type.Object({ needed: Type.Optional(Type.String()) }),
  reply: Type.Object({}),
})
const search = endpoint({
  ...common,
  operationId: 'search',
  method: 'GET',
  url: '/_matrix/client/v3/search',
  query: Type.Object({ term: Type.String() }),
  body: null,
  reply: Type.Object({}),
})
const lenient = endpoint({
  ...common,
  operationId: 'lenient',
  method: 'POST',
  url: '/_matrix/client/v3/lenient',
  body: Type.Object({}),
  bodyRequired: false,
  maxBodyBytes: 100,
  reply: Type.Object({}),
})
const breaks = endpoint({
  ...common,
  operationId: 'breaks',
  method: 'GET',
  url: '/_matrix/client/v3/breaks/{how}',
  path: Type.Object({ how: Type.String() }),
  body: null,
  reply: Type.Object({}),
})
const large = endpoint({
  ...common,
  operationId: 'large',
  method: 'GET',
  url: '/_matrix/client/v3/large',
  body: null,
  reply: Type.Object({}),
})
const poll = endpoint({
  ...common,
  operationId: 'poll',
  method: 'GET',
  url: '/_matrix/client/v3/poll',
  body: null,
  reply: Type.Object({}),
})
const key = endpoint({
  ...common,
  operationId: 'key',
  method: 'GET',
  url: '/_matrix/key/v2/server',
  body: null,
  reply: Type.Object({}),
})

const address = endpoint({
  ...common,
  operationId: 'address',
  method: 'GET',
  url: '/_matrix/client/v3/address',
  body: null,
  reply: Type.Object({}),
})

const polls = new EventTarget()
const routes: readonly Route[] = [
  route(echo, async ({ path, query, body }) => ({ path, query, body })),
  route(secret, async ({ requester }) => ({ user_id: requester.userId })),
  route(maybe, async ({ requester }) => ({ user_id: requester?.userId ?? null })),
  route(search, async ({ query }) => query),
  route(lenient, async ({ body }) => body),
  route(breaks, async ({ path }) => {
    if (path.how === 'full') throw new StorageFull('no room')
    if (path.how === 'failed') throw new StorageFailed('EIO')
    if (path.how === 'forbidden') throw forbidden('No')
    throw new Error('a detail that is nobody’s business')
  }),
  route(large, async () => Reply.json(JSON.stringify({ text: 'hearth '.repeat(10_000) }))),
  route(poll, async ({ request }) => {
    polls.dispatchEvent(new Event('begun'))
    await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
    polls.dispatchEvent(new Event('ended'))
    return {}
  }),
  route(key, async () => ({})),
  route(address, async ({ request }) => ({ ip: request.ip })),
]

const once = (name: string): Promise<unknown> =>
  new Promise((resolve) => polls.addEventListener(name, resolve, { once: true }))

let logged: LogFields[] = []
let clock: ManualClock
let stopping: AbortController
const listeners: Listener[] = []
let api: Api
let base: string

async function start(serves: readonly Side[]): Promise<string> {
  const quiet = (): void => {}
  const appFor = mount({
    routes,
    authenticate: async (token) => {
      if (token !== 'good') throw unknownToken('Unknown access token')
      return { userId: '@a:hearth.test', deviceId: 'D', isAdmin: false, isGuest: false, tokenId: '1' }
    },
    rateLimits: new RateLimits(clock, true),
    clock,
    logger: { debug: quiet, info: quiet, warn: quiet, error: (fields) => logged.push(fields) },
    stopping: stopping.signal,
  })
  const listener = await listen({ address: '127.0.0.1', port: 0, tls: null }, appFor(serves).callback())
  listeners.push(listener)
  return `http://127.0.0.1:${listener.port}`
}

beforeAll(async () => {
  clock = manualClock()
  stopping = new AbortController()
  base = await start(['client', 'federation'])
  api = createApi(base)
})
afterAll(async () => {
  stopping.abort()
  await Promise.all(listeners.map((listener) => listener.close()))
})
beforeEach(() => {
  logged = []
})

const errcode = (body: unknown): unknown => (body as { errcode?: unknown }).errcode
const raw = (path: string, init: RequestInit) => api.fetch(path, init)
const putEcho = (body: BodyInit) => raw('/_matrix/client/v3/rooms/!r:x/echo/k', { method: 'PUT', body })

describe('client-server-api §Common error codes', () => {
  it('answers an unknown path with 404 M_UNRECOGNIZED', async () => {
    const { status, body } = await api.get('/_matrix/client/v3/nothing')
    expect([status, errcode(body)]).toEqual([404, 'M_UNRECOGNIZED'])
  })

  it('answers a known path with the wrong method with 405 M_UNRECOGNIZED', async () => {
    const { status, body, headers } = await api.get('/_matrix/client/v3/rooms/!r:x/echo/k')
    expect([status, errcode(body), headers.get('allow')]).toEqual([405, 'M_UNRECOGNIZED', 'PUT'])
  })

  it.each([
    ['no body', undefined],
    ['text that is no JSON', '{"a":'],
    ['NaN', '{"a":NaN}'],
    ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a byte order mark', '\ufeff{}'],
  ])('answers %s with M_NOT_JSON', async (_what, body) => {
    const response = await putEcho(body as BodyInit)
    expect([response.status, errcode(await response.json())]).toEqual([400, 'M_NOT_JSON'])
  })

  it.each([
    ['a list', '[]'],
    ['null', 'null'],
    ['a key of the wrong type', '{"name":5}'],
    ['a wrong value behind a key with a line break', '{"by_name":{"a\\nb":{"size":"1"}}}'],
    ['a lone surrogate', '{"name":"\\ud800"}'],
    ['a lone surrogate in a key', '{"\\udc00":1}'],
    ['a number larger than any', '{"n":1e400}'],
    ['an integer beyond 2^53 - 1', '{"n":9007199254740993}'],
    ['a large negative integer in a list', '{"n":[-9007199254740992]}'],
    ['100,000 levels', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['100,000 levels of objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ])('answers %s with M_BAD_JSON', async (_what, body) => {
    const response = await putEcho(body)
    expect([response.status, errcode(await response.json())]).toEqual([400, 'M_BAD_JSON'])
  })

  it.each([
    ['U+2028', '{"name":"a\u2028b"}'],
    ['__proto__', '{"__proto__":{"a":1},"constructor":{"prototype":2}}'],
    ['both halves of a surrogate pair', '{"name":"\\ud83d\\ude00"}'],
    ['the largest integer', '{"n":[9007199254740991,-9007199254740991]}'],
    ['digits and brackets within text', '{"name":"12345678901234567890 1e999 [[[{{{ \\" \\\\"}'],
    ['numbers with fraction', '{"n":0.25}'],
    ['an empty key', '{"":{"":[]}}'],
  ])('passes %s on unchanged', async (_what, body) => {
    const response = await putEcho(body)
    expect(response.status).toBe(200)
    expect(JSON.stringify(((await response.json()) as { body: unknown }).body)).toBe(JSON.stringify(JSON.parse(body)))
  })

  it('names the parameter that does not fit', async () => {
    const { status, body } = await api.put('/_matrix/client/v3/rooms/!r:x/echo/k', {}, { n: -1 })
    expect([status, errcode(body)]).toEqual([400, 'M_INVALID_PARAM'])
    expect(body.error).toContain("'n'")
  })

  it('answers a missing query parameter with M_MISSING_PARAM', async () => {
    const { status, body } = await api.get('/_matrix/client/v3/search')
    expect([status, errcode(body)]).toEqual([400, 'M_MISSING_PARAM'])
    expect(body.error).toContain("'term'")
  })

  it('hides the details of an error of ours and logs them', async () => {
    const { status, body } = await api.get('/_matrix/client/v3/breaks/inside')
    expect([status, body]).toEqual([500, { errcode: 'M_UNKNOWN', error: 'Internal server error' }])
    expect(logged[0]).toMatchObject({ event: 'http.failed', operationId: 'breaks' })
    expect(logged[0]?.stack).toContain('nobody’s business')
  })

  it('tells a full disk from a broken one', async () => {
    const full = await api.get('/_matrix/client/v3/breaks/full')
    expect([full.status, errcode(full.body), full.headers.get('retry-after')]).toEqual([507, 'M_UNKNOWN', '60'])
    const failed = await api.get('/_matrix/client/v3/breaks/failed')
    expect([failed.status, errcode(failed.body)]).toEqual([503, 'M_UNKNOWN'])
  })
})

describe('path and query parameters', () => {
  const echoOf = async (path: string) => (await api.put(path)).body as { path: unknown; query: unknown }

  it('decodes path parameters exactly once, an encoded slash inside', async () => {
    const { path } = await echoOf('/_matrix/client/v3/rooms/%21r%3Ax/echo/a%2Fb%2525%20+%C3%BC')
    expect(path).toEqual({ roomId: '!r:x', key: 'a/b%25 +ü' })
  })

  it.each(['%', '%zz', '%ff', '%ed%a0%80'])('refuses %s with M_INVALID_PARAM', async (text) => {
    const { status, body } = await api.put(`/_matrix/client/v3/rooms/!r:x/echo/${text}`)
    expect([status, errcode(body)]).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('refuses what is no identifier with M_INVALID_PARAM', async () => {
    const { status, body } = await api.put('/_matrix/client/v3/rooms/r/echo/k')
    expect([status, errcode(body)]).toEqual([400, 'M_INVALID_PARAM'])
  })

  it.each(['', '/'])('serves an alias with “%s” in place of its last parameter', async (end) => {
    expect((await echoOf(`/_matrix/client/v3/rooms/!r:x/echo${end}`)).path).toEqual({ roomId: '!r:x', key: '' })
  })

  it('never takes an empty segment for a parameter', async () => {
    expect((await api.put('/_matrix/client/v3/rooms//echo/k')).status).toBe(404)
  })

  it('serves v3 endpoints under r0, too', async () => {
    expect((await echoOf('/_matrix/client/r0/rooms/!r:x/echo/k')).path).toEqual({ roomId: '!r:x', key: 'k' })
  })

  it('reads integers, booleans, choices and lists by their declaration', async () => {
    const text = '?n=5&flag=true&dir=b&via=one&via=a%26b+c&n=9&unknown=1'
    const { query } = await echoOf(`/_matrix/client/v3/rooms/!r:x/echo/k${text}`)
    expect(query).toEqual({ n: 5, flag: true, dir: 'b', via: ['one', 'a&b c'] })
  })

  it.each(['n=x', 'n=1.5', 'n=', 'n=1e3', 'n=99999999999999999999', 'flag=yes', 'dir=x', 'n=%', 'dir=%ff'])(
    'refuses ?%s with M_INVALID_PARAM',
    async (text) => {
      const { status, body } = await api.put(`/_matrix/client/v3/rooms/!r:x/echo/k?${text}`)
      expect([status, errcode(body)]).toEqual([400, 'M_INVALID_PARAM'])
    },
  )
})

describe('client-server-api §Using access tokens', () => {
  const post = (headers: Record<string, string>, query = '') =>
    raw(`/_matrix/client/v3/secret${query}`, { method: 'POST', headers, body: 'no JSON' })

  it('asks for a token before it looks at the body', async () => {
    const response = await post({})
    expect([response.status, errcode(await response.json())]).toEqual([401, 'M_MISSING_TOKEN'])
  })

  it('refuses a wrong token before it looks at the body', async () => {
    const response = await post({ authorization: 'Bearer wrong' })
    const body = (await response.json()) as Record<string, unknown>
    expect([response.status, body.errcode, body.soft_logout]).toEqual([401, 'M_UNKNOWN_TOKEN', false])
  })

  it.each([
    ['the Authorization header', { authorization: 'Bearer good' }, ''],
    ['a scheme in lower case', { authorization: 'bearer good' }, ''],
    ['the deprecated query parameter', {}, '?access_token=good'],
  ])('takes it from %s', async (_what, headers, query) => {
    const response = await post(headers as Record<string, string>, query)
    expect(errcode(await response.json())).toBe('M_NOT_JSON')
  })

  it('lets requests without a token through where it is optional, and refuses a wrong one', async () => {
    expect((await api.get('/_matrix/client/v3/maybe')).body).toEqual({ user_id: null })
    expect((await createApi(base, 'good').get('/_matrix/client/v3/maybe')).body).toEqual({ user_id: '@a:hearth.test' })
    expect((await createApi(base, 'bad').get('/_matrix/client/v3/maybe')).status).toBe(401)
  })
})

describe('client-server-api §API Standards', () => {
  it.each([[{ 'content-type': 'application/json' }], [{ 'content-type': 'text/plain' }], [{}]])(
    'takes JSON whatever its Content-Type: %j',
    async (headers) => {
      const body = new TextEncoder().encode('{"name":"Größe 👪"}')
      const init = { method: 'PUT', headers: headers as Record<string, string>, body }
      const response = await raw('/_matrix/client/v3/rooms/!r:x/echo/k', init)
      expect(await response.json()).toMatchObject({ body: { name: 'Größe 👪' } })
    },
  )

  it('answers with JSON in UTF-8, and says that it is application/json, also of errors', async () => {
    const answers = [
      await raw('/_matrix/client/v3/rooms/!r:x/echo/k', { method: 'PUT', body: '{"name":"Größe 👪"}' }),
      await raw('/_matrix/client/v3/breaks/forbidden', {}),
      await raw('/_matrix/client/v3/breaks/inside', {}),
      await raw('/_matrix/client/v3/nothing', {}),
    ]
    const texts: string[] = []
    for (const response of answers) {
      expect(response.headers.get('content-type')).toBe('application/json')
      const bytes = await response.arrayBuffer()
      texts.push(JSON.stringify(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))))
    }
    expect(texts[0]).toContain('Größe 👪')
  })
})

describe('bodies', () => {
  it('counts an empty body as {} where the declaration says so', async () => {
    const response = await raw('/_matrix/client/v3/lenient', { method: 'POST' })
    expect([response.status, await response.json()]).toEqual([200, {}])
  })

  it('takes null for an optional key that is left out, but not for one that is needed or a value within', async () => {
    const put = async (body: unknown): Promise<unknown> => {
      const init = { method: 'PUT', body: JSON.stringify(body) }
      return (await raw('/_matrix/client/v3/rooms/!r:hearth.test/echo', init)).json()
    }
    expect(await put({ name: null, other: null })).toEqual(expect.objectContaining({ body: { other: null } }))
    expect(await put({ name: 'x', by_name: null })).toEqual(expect.objectContaining({ body: { name: 'x' } }))
    expect(await put({ by_name: { a: null } })).toMatchObject({ errcode: 'M_BAD_JSON' })
    expect(await put({ name: null, by_name: 5 })).toMatchObject({ errcode: 'M_BAD_JSON' })
    const init = { method: 'POST', body: '{"needed":null}', headers: { authorization: 'Bearer good' } }
    expect((await raw('/_matrix/client/v3/secret', init)).status).toBe(400)
  })

  it('refuses one that is declared too long with 413 M_TOO_LARGE, and the connection goes on', async () => {
    const body = JSON.stringify({ a: 'x'.repeat(5_000_000) })
    const response = await putEcho(body)
    expect([response.status, errcode(await response.json())]).toEqual([413, 'M_TOO_LARGE'])
    expect((await api.get('/_matrix/client/v3/maybe')).status).toBe(200)
  })

  it('refuses one that grows too long, by the endpoint’s own limit', async () => {
    const chunks = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"a":"'))
        controller.enqueue(new Uint8Array(200).fill(97))
        controller.close()
      },
    })
    const init = { method: 'POST', body: chunks, duplex: 'half' } as RequestInit
    const response = await raw('/_matrix/client/v3/lenient', init)
    expect([response.status, errcode(await response.json())]).toEqual([413, 'M_TOO_LARGE'])
  })

  it('does not mind a client that goes away in the middle', async () => {
    const socket = connect(Number(new URL(base).port), '127.0.0.1')
    const head = 'PUT /_matrix/client/v3/rooms/!r:x/echo/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a":'
    await new Promise<void>((resolve) => socket.write(head, () => resolve()))
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).destroy())
    expect((await api.get('/_matrix/client/v3/maybe')).status).toBe(200)
    expect(logged).toEqual([])
  })
})

describe('client-server-api §Web Browser Clients', () => {
  const expectCors = (headers: Headers): void => {
    expect(headers.get('access-control-allow-origin')).toBe('*')
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect(headers.get('access-control-allow-methods')).toContain(method)
    }
    expect(headers.get('access-control-allow-headers')).toBe('X-Requested-With, Content-Type, Authorization')
  }

  it('sends CORS headers with answers and with errors', async () => {
    expectCors((await api.get('/_matrix/client/v3/maybe')).headers)
    expectCors((await api.get('/_matrix/client/v3/nothing')).headers)
    expectCors((await api.get('/_matrix/client/v3/breaks/inside')).headers)
  })

  it('answers OPTIONS without running the endpoint', async () => {
    for (const path of ['/_matrix/client/v3/secret', '/_matrix/client/v3/breaks/inside', '/_matrix/key/v2/server']) {
      const response = await raw(path, { method: 'OPTIONS' })
      expect([path, response.status, await response.text()]).toEqual([path, 204, ''])
      expectCors(response.headers)
    }
    // An endpoint that runs and fails leaves a word in the log.
    expect(logged).toEqual([])
  })

  it('names in its CORS headers every method that an endpoint of ours has', async () => {
    const { headers } = await api.get('/_matrix/client/v3/maybe')
    const named = headers.get('access-control-allow-methods')?.split(', ') ?? []
    const declared = await Promise.all((['client', 'hearth', 'admin', 'oauth'] as const).map(listDeclarations))
    expect(declared.flat().filter(({ endpoint }) => !named.includes(endpoint.method))).toEqual([])
    // Media are asked for in this way as well.
    expect(named).toContain('HEAD')
  })
})

describe('answers', () => {
  it('answers HEAD like GET, without the body', async () => {
    const response = await raw('/_matrix/client/v3/maybe', { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(response.headers.get('content-length')).toBe(String('{"user_id":null}'.length))
  })

  it('compresses large ones for clients that ask for it', async () => {
    const packed = await raw('/_matrix/client/v3/large', { headers: { 'accept-encoding': 'br;q=1, gzip' } })
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    expect(((await packed.json()) as { text: string }).text).toHaveLength(70_000)
    const plain = await raw('/_matrix/client/v3/large', { headers: { 'accept-encoding': 'gzip;q=0' } })
    expect(plain.headers.get('content-encoding')).toBeNull()
  })

  it('keeps browsers from taking them for pages, and caches from keeping them', async () => {
    const { headers } = await api.get('/_matrix/client/v3/maybe')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('tells a handler that its client has gone', async () => {
    const [begun, ended] = [once('begun'), once('ended')]
    const gone = new AbortController()
    const request = raw('/_matrix/client/v3/poll', { signal: gone.signal })
    await begun
    gone.abort()
    await expect(request).rejects.toThrow()
    await ended
  })
})

describe('client-server-api §Rate limiting', () => {
  it('answers 429 with the time to wait, by user, and lets them on afterwards', async () => {
    const asGood = createApi(base, 'good')
    let limited = await asGood.post('/_matrix/client/v3/secret', { needed: '' })
    for (let i = 0; i < 500 && limited.status === 200; i += 1) {
      limited = await asGood.post('/_matrix/client/v3/secret', { needed: '' })
    }
    expect([limited.status, errcode(limited.body)]).toEqual([429, 'M_LIMIT_EXCEEDED'])
    const waitMs = Number(limited.body.retry_after_ms)
    expect(waitMs).toBeGreaterThan(0)
    expect(limited.headers.get('retry-after')).toBe(String(Math.ceil(waitMs / 1000)))
    clock.advance(waitMs)
    expect((await asGood.post('/_matrix/client/v3/secret', { needed: '' })).status).toBe(200)
  })
})

describe('the client’s address', () => {
  it.each([
    [{}, '127.0.0.1'],
    [{ 'x-forwarded-for': '203.0.113.7' }, '203.0.113.7'],
    [{ 'x-forwarded-for': '10.0.0.1, 203.0.113.7' }, '203.0.113.7'],
    [{ 'x-forwarded-for': '2001:db8::7' }, '2001:db8::7'],
    [{ 'x-forwarded-for': 'not an address' }, '127.0.0.1'],
  ])('is the last one that a proxy on this machine adds: %j', async (headers, ip) => {
    const response = await raw('/_matrix/client/v3/address', { headers: headers as Record<string, string> })
    expect(await response.json()).toEqual({ ip })
  })
})

describe('interop/server-process §Configuration, serves', () => {
  it('serves each listener only what it is for', async () => {
    const federation = createApi(await start(['federation']))
    const client = createApi(await start(['client']))
    expect((await federation.get('/_matrix/key/v2/server')).status).toBe(200)
    expect((await client.get('/_matrix/client/v3/maybe')).status).toBe(200)
    const wrongWay = [await federation.get('/_matrix/client/v3/maybe'), await client.get('/_matrix/key/v2/server')]
    for (const { status, body } of wrongWay) expect([status, errcode(body)]).toEqual([404, 'M_UNRECOGNIZED'])
  })
})

describe('stopping', () => {
  it('answers long polls that wait, and closes', async () => {
    const url = await start(['client'])
    const begun = once('begun')
    const polled = createApi(url).get('/_matrix/client/v3/poll')
    await begun
    const closed = listeners.at(-1)?.close()
    stopping.abort()
    expect((await polled).status).toBe(200)
    await closed
    await expect(createApi(url).get('/_matrix/client/v3/maybe')).rejects.toThrow()
  })
})
