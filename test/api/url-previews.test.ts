import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type HostileWeb,
  previewConfig,
  redirectsTo,
  sends,
  startHostileWeb,
  withoutEnd,
} from '../media/hostile-web.ts'
import { manualClock } from '../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const PATH = '/_matrix/client/v1/media/preview_url'
const clock = manualClock()
let web: HostileWeb
let server: TestServer
let alice: Person
let pages = 0

beforeAll(async () => {
  web = await startHostileWeb()
  server = await startTestServer({ clock, config: previewConfig })
  alice = await server.register('alice')
})
afterAll(async () => {
  expect(server.complaints).toEqual([])
  await server[Symbol.asyncDispose]()
  await web[Symbol.asyncDispose]()
})

const preview = (url: string, query = {}) => alice.api.get<Record<string, string | number>>(PATH, { url, ...query })
/** Serves it at a path of its own, and asks for it. */
const previewOf = (page: Parameters<HostileWeb['pages']['set']>[1]) => {
  pages += 1
  web.pages.set(`/page${pages}`, page)
  return preview(`${web.url}/page${pages}`)
}
const picture = (width = 60, height = 40) =>
  sharp({ create: { width, height, channels: 3, background: '#234' } })
    .png()
    .toBuffer()
const head = (inner: string) => `<!doctype html><html><head>${inner}</head><body><p>Some text</p></body></html>`

describe('client-server-api, GET /_matrix/client/v1/media/preview_url', () => {
  it('gives what the page says of itself, and its picture as media of ours', async () => {
    const bytes = await picture()
    web.pages.set('/picture.png', sends(bytes, 'image/png'))
    const { status, body } = await previewOf(
      sends(
        head(`<title>Not this</title>
          <meta property="og:title" content="Soup &amp; bread &quot;today&quot;">
          <meta content="What is  for\ndinner" property=og:description>
          <meta property="og:url" content="/recipes/1"><meta property="og:site_name" content="Kitchen">
          <meta property="og:image" content="/picture.png"><meta property="og:image:width" content="9999">
          <meta property="og:video" content="https://tracker.example/film.mp4">`),
      ),
    )
    expect(status).toBe(200)
    const uri = String(body['og:image'])
    expect(body).toEqual({
      'og:title': 'Soup & bread "today"',
      'og:description': 'What is for dinner',
      'og:url': `${web.url}/recipes/1`,
      'og:site_name': 'Kitchen',
      'og:image': expect.stringMatching(/^mxc:\/\/hearth\.test\/[\w-]+$/),
      'og:image:type': 'image/png',
      'og:image:width': 60,
      'og:image:height': 40,
      'matrix:image:size': bytes.length,
    })
    const shown = await alice.api.fetch(`/_matrix/client/v1/media/download/${uri.slice('mxc://'.length)}`)
    expect(Buffer.from(await shown.arrayBuffer()).equals(bytes)).toBe(true)
    const usage = await alice.api.get(`/_hearth/client/v1/users/${encodeURIComponent(alice.userId)}/media`)
    expect(usage.body).toMatchObject({ files: 0, bytes: 0 })
  })

  it.each([
    [
      'a Twitter card',
      '<meta name="twitter:title" content="T"><meta name="twitter:description" content="D">',
      'T',
      'D',
    ],
    ['title and description', '<title> T </title><meta name="Description" content="D">', 'T', 'D'],
    [
      'no title but a heading',
      '</head><h1>T</h1><p>It is a paragraph that is long enough to say something.',
      'T',
      /^It is/,
    ],
  ])('falls back to %s', async (_what, inner, title, description) => {
    const { body } = await previewOf(sends(head(inner)))
    expect(body['og:title']).toBe(title)
    expect(body['og:description']).toEqual(
      typeof description === 'string' ? description : expect.stringMatching(description),
    )
  })

  it('is also served at the deprecated URL, and wants a token at both', async () => {
    web.pages.set('/old', sends(head('<title>Old</title>')))
    const old = await alice.api.get('/_matrix/media/v3/preview_url', { url: `${web.url}/old` })
    expect(old).toMatchObject({ status: 200, body: { 'og:title': 'Old' } })
    for (const path of [PATH, '/_matrix/media/v3/preview_url']) {
      expect((await server.api().get(path, { url: web.url })).status).toBe(401)
    }
  })

  it('sends no cookies, not even those that a redirect set, and nothing of who asks', async () => {
    web.pages.set('/from', redirectsTo('/to'))
    web.pages.set('/to', sends(head('<title>There</title>')))
    expect((await preview(`${web.url}/from`)).body).toMatchObject({ 'og:title': 'There' })
    const seen = web.seen.filter(({ path }) => path === '/from' || path === '/to')
    expect(seen).toHaveLength(2)
    for (const { headers } of seen) {
      expect(Object.keys(headers).sort()).toEqual(['accept', 'accept-encoding', 'connection', 'host', 'user-agent'])
    }
  })

  it('fetches a page once for all who ask at once, and again when it is old', async () => {
    web.pages.set('/once', sends(head('<title>First</title>'), 'text/html', { 'cache-control': 'max-age=1200' }))
    const url = `${web.url}/once`
    const count = () => web.seen.filter(({ path }) => path === '/once').length
    const firstTs = clock.now()
    const all = await Promise.all(Array.from({ length: 5 }, () => preview(url)))
    expect(all.map(({ body }) => body['og:title'])).toEqual(Array(5).fill('First'))
    expect(count()).toBe(1)
    web.pages.set('/once', sends(head('<title>Second</title>')))
    clock.advance(1_199_000)
    expect((await preview(url)).body['og:title']).toBe('First')
    clock.advance(2_000)
    expect((await preview(url)).body['og:title']).toBe('Second')
    expect(count()).toBe(2)
    // What it was at a time before.
    expect((await preview(url, { ts: firstTs + 1 })).body['og:title']).toBe('First')
    expect((await preview(url, { ts: 1 })).body['og:title']).toBe('Second')
    expect(count()).toBe(2)
  })
})

describe('previews of pages by those who mean no good', () => {
  it.each([
    'file:///etc/passwd',
    'ftp://127.0.0.2/',
    'data:text/html,<title>x</title>',
    'javascript:1',
    'no URL',
    'http://',
  ])('are refused for %s', async (url) => {
    expect(await preview(url)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  })

  it('are refused for ports of other services, and for URLs with a password', async () => {
    for (const url of [
      'http://127.0.0.2:22/',
      'http://127.0.0.2:25/',
      'http://127.0.0.2:6667/',
      'http://a:b@127.0.0.2/',
    ]) {
      expect(await preview(url)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    }
  })

  it('never come from our own network, and tell nothing of it', async () => {
    const own = server.baseUrl
    const port = new URL(own).port
    const inside = [own, `http://localhost:${port}`, `http://[::1]:${port}`, `http://[::ffff:127.0.0.1]:${port}`]
    const urls = [
      ...inside,
      `http://2130706433:${port}/`,
      'http://10.0.0.1/',
      'http://169.254.169.254/latest/meta-data/',
    ]
    const nothingThere = await preview('http://127.0.0.1:1024/')
    expect(nothingThere).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
    for (const url of urls) {
      const { status, body } = await preview(url)
      expect([url, status, body]).toEqual([url, 502, nothingThere.body])
    }
  })

  it('do not follow redirects to our own network, to what is not the web, or without end', async () => {
    const own = server.baseUrl
    for (const to of [
      own,
      `${own}/_matrix/client/versions`,
      'file:///etc/passwd',
      'http://127.0.0.2:22/',
      'data:text/html,x',
    ]) {
      expect((await previewOf(redirectsTo(to))).status).toBe(502)
    }
    web.pages.set('/loop', redirectsTo('/loop', 308))
    expect((await preview(`${web.url}/loop`)).status).toBe(502)
    expect(web.seen.filter(({ path }) => path === '/loop')).toHaveLength(6)
  })

  it('take no picture from our own network', async () => {
    const inner = `<title>T</title><meta property="og:image" content="${server.baseUrl}/x.png">`
    expect((await previewOf(sends(head(inner)))).body).toEqual({ 'og:title': 'T' })
    web.pages.set('/inward.png', redirectsTo(`${server.baseUrl}/x.png`))
    const { body } = await previewOf(sends(head('<title>T</title><meta property="og:image" content="/inward.png">')))
    expect(body).toEqual({ 'og:title': 'T' })
  })

  it('read the beginning of a page that never ends, packed or not', async () => {
    const start = head('<title>Endless</title>')
    const endless = await previewOf((request, response) => {
      withoutEnd(start + 'x'.repeat(10_000), { 'content-type': 'text/html' })(request, response)
    })
    expect(endless.body).toEqual({ 'og:title': 'Endless' })
    const bomb = gzipSync(start + ' '.repeat(200_000_000), { level: 1 })
    const unpacked = await previewOf(sends(bomb, 'text/html', { 'content-encoding': 'gzip' }))
    expect(unpacked.body).toEqual({ 'og:title': 'Endless' })
  })

  it('refuse what is packed in unknown ways or twice', async () => {
    for (const encoding of ['compress', 'gzip, gzip', 'x']) {
      const page = sends(gzipSync(head('<title>T</title>')), 'text/html', { 'content-encoding': encoding })
      expect((await previewOf(page)).status).toBe(502)
    }
  })

  it.each([
    ['100,000 nested tags', `<title>T</title>${'<div>'.repeat(100_000)}`],
    ['100,000 nested paragraphs', `<title>T</title>${'<p>'.repeat(100_000)}`],
    ['100,000 attributes', `<title>T</title><meta ${Array.from({ length: 100_000 }, (_, i) => `a${i}=1`).join(' ')}>`],
    ['500,000 open comments', `<title>T</title>${'<!-- '.repeat(200_000)}`],
    ['open quotes', `<title>T</title>${'<p a="\' '.repeat(100_000)}`],
    ['open scripts', `<title>T</title>${'<script>'.repeat(100_000)}`],
    ['a million angle brackets', `<title>T</title>${'<'.repeat(900_000)}`],
    ['many blanks', `<title>T</title><meta a${' '.repeat(900_000)}`],
    ['many equals signs', `<title>T</title><meta ${'='.repeat(900_000)}>`],
  ])('get over %s', async (_what, inner) => {
    expect((await previewOf(sends(head(inner)))).body).toMatchObject({ 'og:title': 'T' })
  })

  it.each([' ', '=', '/', ' = ', 'a', '"', "'", ' a="'])('get over a tag that ends in many %j', async (piece) => {
    const { body } = await previewOf(sends(`<title>T</title><meta a${piece.repeat(1_200_000 / piece.length)}`))
    expect(body).toEqual({ 'og:title': 'T' })
  })

  it('read no tags out of scripts, comments and attributes', async () => {
    const { body } = await previewOf(
      sends(
        head(`<script>"<title>script</title>"</script><!-- <title>comment</title> -->
          <a title="<title>attribute</title>">x</a><svg><title>drawing</title></svg>
          <meta property="__proto__" content="x"><meta property="og:title" content='">&lt;script&gt;'>`),
      ),
    )
    expect(body).toEqual({ 'og:title': '"><script>' })
  })

  it.each([
    ['the header', Buffer.from(head('<title>Grüße</title>'), 'latin1'), 'text/html; charset=ISO-8859-1'],
    ['the page', Buffer.from(head('<meta charset=latin1><title>Grüße</title>'), 'latin1'), 'text/html'],
    ['nobody', Buffer.from(head('<title>Grüße</title>'), 'latin1'), 'text/html'],
    [
      'a header that is wrong',
      Buffer.from(head('<meta charset=latin1><title>Grüße</title>'), 'latin1'),
      'text/html; charset=utf-8',
    ],
    ['a header that nobody knows', Buffer.from(head('<title>Grüße</title>')), 'text/html; charset=klingon'],
    ['a byte order mark', Buffer.from(`\ufeff${head('<title>Grüße</title>')}`, 'utf16le'), 'text/html; charset=utf-8'],
  ])('read letters as %s says', async (_who, bytes, type) => {
    expect((await previewOf(sends(bytes, type))).body['og:title']).toBe('Grüße')
  })

  it('show no picture that is too large, no picture, a drawing, or within the page', async () => {
    const drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    web.pages.set('/large', sends(Buffer.alloc(6_000_000, await picture()), 'image/png'))
    web.pages.set('/endless', withoutEnd(await picture(), { 'content-type': 'image/png' }))
    web.pages.set('/pixels', sends(await picture(10_000, 10_000), 'image/png'))
    web.pages.set('/drawing', sends(drawing, 'image/svg+xml'))
    web.pages.set('/disguised', sends(drawing, 'image/png'))
    web.pages.set('/text', sends('no picture', 'image/png'))
    const data = `data:image/png;base64,${(await picture()).toString('base64')}`
    for (const source of ['/large', '/endless', '/pixels', '/drawing', '/disguised', '/text', '/missing', data]) {
      const { body } = await previewOf(sends(head(`<title>T</title><meta property="og:image" content="${source}">`)))
      expect([source, body]).toEqual([source, { 'og:title': 'T' }])
    }
  })

  it('show a picture by itself, and of other files nothing, unread', async () => {
    const shown = await previewOf(sends(await picture(), 'image/png'))
    expect(shown.body).toMatchObject({ 'og:image:width': 60, 'og:image:type': 'image/png' })
    const archive = await previewOf(withoutEnd(Buffer.alloc(65_536), { 'content-type': 'application/zip' }))
    expect(archive).toMatchObject({ status: 200, body: {} })
    expect((await previewOf((_request, response) => response.writeHead(500).end('<title>T</title>'))).status).toBe(502)
  })

  it('are bounded in what they say', async () => {
    const many = Array.from({ length: 200 }, (_, i) => `<meta property="og:x${i}" content="${'y'.repeat(3_000)}">`)
    const { body } = await previewOf(
      sends(head(`<meta property="og:title" content="${'🍲'.repeat(1_000)}">${many.join('')}`)),
    )
    expect(Object.keys(body).length).toBeLessThan(40)
    expect(JSON.stringify(body).length).toBeLessThan(32_000)
    expect(String(body['og:title'])).toMatch(/^(🍲)+…$/u)
  })
})

describe('previews where the configuration has them off', () => {
  it('are 403 M_FORBIDDEN, and nothing is fetched', async () => {
    await using closed = await startTestServer({ config: { ...previewConfig, url_previews: { enabled: false } } })
    const bob = await closed.register('bob')
    const before = web.seen.length
    for (const path of [PATH, '/_matrix/media/v3/preview_url']) {
      const reply = await bob.api.get(path, { url: web.url })
      expect(reply).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    }
    expect(web.seen.length).toBe(before)
  })

  it('are counted against who asks', async () => {
    const config = { ...previewConfig, url_previews: { enabled: false }, rate_limits: { enabled: true } }
    await using limited = await startTestServer({ clock: manualClock(), config })
    const bob = await limited.register('bob')
    const statuses: number[] = []
    for (let i = 0; i < 61; i += 1) statuses.push((await bob.api.get(PATH, { url: web.url })).status)
    expect(statuses.slice(0, 60).every((status) => status === 403)).toBe(true)
    expect(statuses[60]).toBe(429)
  })
})
