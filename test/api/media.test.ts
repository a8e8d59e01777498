import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { specFolder } from '../support/spec.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const call = (server: TestServer, person: Person | undefined, path: string, init: RequestInit = {}) =>
  fetch(`${server.baseUrl}${path}`, {
    ...init,
    headers: { ...(person && { authorization: `Bearer ${person.accessToken}` }), ...init.headers },
  })

async function upload(server: TestServer, person: Person, bytes: Uint8Array | string, type: string, query = '') {
  const body = typeof bytes === 'string' ? bytes : new Blob([new Uint8Array(bytes)])
  const reply = await call(server, person, `/_matrix/media/v3/upload${query}`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
  })
  expect(reply.status).toBe(200)
  const { content_uri } = (await reply.json()) as { content_uri: string }
  expect(content_uri).toMatch(/^mxc:\/\/hearth\.test\/[A-Za-z0-9_-]+$/)
  return content_uri.slice('mxc://'.length)
}
const download = (server: TestServer, person: Person | undefined, media: string, headers = {}) =>
  call(server, person, `/_matrix/client/v1/media/download/${media}`, { headers })
const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#e4572e' } })
    .jpeg()
    .toBuffer()

describe('client-server-api §Content repository', () => {
  it('gives the bytes back, with the headers that keep a browser from running them', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(
      server,
      alice,
      '<script>alert(1)</script>',
      'text/html',
      '?filename=Gr%C3%BC%C3%9Fe.html',
    )
    const reply = await download(server, alice, media)
    expect(await reply.text()).toBe('<script>alert(1)</script>')
    expect(reply.headers.get('content-type')).toBe('text/html')
    expect(reply.headers.get('content-disposition')).toBe("attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.html")
    expect(reply.headers.get('content-security-policy')).toContain('sandbox')
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
    expect(server.complaints).toEqual([])
  })

  it('shows a picture inline, and takes another name for the download', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await picture(10, 10), 'image/jpeg', '?filename=a.jpg')
    expect((await download(server, alice, media)).headers.get('content-disposition')).toBe('inline; filename=a.jpg')
    const renamed = await call(server, alice, `/_matrix/client/v1/media/download/${media}/b%20c.jpg`)
    expect(renamed.headers.get('content-disposition')).toBe('inline; filename="b c.jpg"')
  })

  it('gives thumbnails and renamed downloads the same headers', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await picture(100, 100), 'image/jpeg')
    for (const path of [`download/${media}/b.jpg`, `thumbnail/${media}?width=32&height=32&method=crop`]) {
      const { headers } = await call(server, alice, `/_matrix/client/v1/media/${path}`)
      expect(headers.get('content-security-policy')).toContain("sandbox; default-src 'none'")
      expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin')
      expect(headers.get('content-disposition')).toMatch(/^inline/)
    }
  })

  it('shows inline only what cannot run in a browser, by the list of the specification', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const text = await readFile(join(specFolder, 'content/client-server-api/modules/content_repo.md'), 'utf8')
    const section = text.split('##### Serving inline content')[1] ?? ''
    const listed = [...section.matchAll(/^\* `([^`]+)`$/gm)].map(([, type]) => String(type))
    expect(listed.length).toBeGreaterThan(20)
    const others = ['text/html', 'image/svg+xml', 'application/pdf', 'application/xhtml+xml', 'text/xml', 'image/tiff']
    const shown = async (type: string) => {
      const reply = await download(server, alice, await upload(server, alice, '{}', type))
      return [reply.headers.get('content-type'), reply.headers.get('content-disposition')]
    }
    for (const type of listed) expect(await shown(type)).toEqual([type, 'inline'])
    for (const type of others) expect(await shown(type)).toEqual([type, 'attachment'])
  })

  it('asks for an access token, and knows no media that was never uploaded', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, 'x', 'text/plain')
    expect((await download(server, undefined, media)).status).toBe(401)
    expect((await download(server, alice, 'hearth.test/none')).status).toBe(404)
    for (const path of ['hearth.test/..%2f..%2fidentity', 'hearth.test/a%00b', '..%2f/x']) {
      const reply = await download(server, alice, path)
      expect(reply.status).toBeGreaterThanOrEqual(400)
      expect(reply.status).toBeLessThan(500)
    }
  })

  it('refuses what is larger than it says in its configuration, told so or not', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const config = await (await call(server, alice, '/_matrix/client/v1/media/config')).json()
    const limit = (config as Record<string, number>)['m.upload.size'] ?? 0
    expect(limit).toBeGreaterThan(1_000_000)
    const chunk = new Uint8Array(1024 * 1024)
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        if (sent > limit) return controller.close()
        sent += chunk.length
        controller.enqueue(chunk)
      },
    })
    const reply = await call(server, alice, '/_matrix/media/v3/upload', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit)
    expect(reply.status).toBe(413)
    expect(await reply.json()).toMatchObject({ errcode: 'M_TOO_LARGE' })
  })

  it.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=5-2', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
  ])('answers the range %s with %s', async (range, status, text, contentRange) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, '0123456789', 'text/plain')
    const reply = await download(server, alice, media, { range })
    expect([reply.status, await reply.text(), reply.headers.get('content-range')]).toEqual([status, text, contentRange])
  })

  it('sends nothing again to a client that has it', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, 'x', 'text/plain')
    const etag = (await download(server, alice, media)).headers.get('etag') ?? ''
    expect((await download(server, alice, media, { 'if-none-match': etag })).status).toBe(304)
  })

  it('takes the bytes later for an ID made ahead, once, from its owner', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const made = await alice.api.post('/_matrix/media/v1/create', {})
    const { content_uri } = made.body as { content_uri: string }
    const path = `/_matrix/media/v3/upload/${content_uri.slice('mxc://'.length)}`
    const put = (person: Person) => call(server, person, path, { method: 'PUT', body: 'later' })
    expect((await download(server, bob, `${content_uri.slice('mxc://'.length)}?timeout_ms=0`)).status).toBe(504)
    expect((await put(bob)).status).toBe(403)
    const waiting = download(server, bob, content_uri.slice('mxc://'.length))
    expect((await put(alice)).status).toBe(200)
    expect(await (await waiting).text()).toBe('later')
    const again = await put(alice)
    expect(again.status).toBe(409)
    expect(await again.json()).toMatchObject({ errcode: 'M_CANNOT_OVERWRITE_MEDIA' })
  })

  it('forgets an ID made ahead that nothing was uploaded to in time, and bounds how many wait', async () => {
    const clock = manualClock()
    await using server = await startTestServer({ clock })
    const alice = await server.register('alice')
    const create = () => alice.api.post('/_matrix/media/v1/create', {})
    const { content_uri, unused_expires_at } = (await create()).body
    expect(unused_expires_at).toBe(clock.now() + 24 * 3_600_000)
    for (let i = 1; i < 20; i += 1) await create()
    expect(await create()).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
    clock.advance(25 * 3_600_000)
    const path = `/_matrix/media/v3/upload/${String(content_uri).slice('mxc://'.length)}`
    expect((await call(server, alice, path, { method: 'PUT', body: 'late' })).status).toBe(404)
    expect((await create()).status).toBe(200)
  })
})

describe('client-server-api §POST /media/v1/create, §GET /media/download, limits', () => {
  it('makes a limited number of IDs in a time, also for who uploads to them at once', async () => {
    await using server = await startTestServer({ clock: manualClock(), config: { rate_limits: { enabled: true } } })
    const alice = await server.register('alice')
    let made = await alice.api.post('/_matrix/media/v1/create', {})
    for (let i = 0; i < 500 && made.status === 200; i += 1) {
      const media = String(made.body.content_uri).slice('mxc://'.length)
      const init = { method: 'PUT', body: 'x' }
      expect((await call(server, alice, `/_matrix/media/v3/upload/${media}`, init)).status).toBe(200)
      made = await alice.api.post('/_matrix/media/v1/create', {})
    }
    expect(made).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
  })

  it.each([
    ['20 s where nothing is said', '', 20_000],
    ['as long as is asked for', '?timeout_ms=30000', 30_000],
    ['a minute at most', '?timeout_ms=9007199254740991', 60_000],
  ])('waits for an upload that is still to come: %s', async (_what, query, waitMs) => {
    const clock = manualClock()
    const waiting = Promise.withResolvers<void>()
    let isAsked = false
    const after: typeof clock.after = (delayMs, callback) => {
      const cancel = clock.after(delayMs, callback)
      if (isAsked && delayMs === waitMs) waiting.resolve()
      return cancel
    }
    await using server = await startTestServer({ clock: { ...clock, after } })
    const alice = await server.register('alice')
    const made = await alice.api.post('/_matrix/media/v1/create', {})
    isAsked = true
    const download = alice.api.get(
      `/_matrix/client/v1/media/download/${String(made.body.content_uri).slice('mxc://'.length)}${query}`,
    )
    await waiting.promise
    clock.advance(waitMs)
    expect(await download).toMatchObject({ status: 504, body: { errcode: 'M_NOT_YET_UPLOADED' } })
  })

  it.each(['', '?allow_redirect=false', '?allow_redirect=true'])('is the bytes, and no redirect: %j', async (query) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await picture(50, 50), 'image/jpeg')
    for (const path of [
      `download/${media}${query}`,
      `thumbnail/${media}?width=32&height=32${query.replace('?', '&')}`,
    ]) {
      const reply = await call(server, alice, `/_matrix/client/v1/media/${path}`, { redirect: 'manual' })
      expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/jpeg'])
    }
  })
})

describe('client-server-api §Thumbnails', () => {
  const thumbnail = (server: TestServer, person: Person, media: string, query: string) =>
    call(server, person, `/_matrix/client/v1/media/thumbnail/${media}?${query}`)
  const sizeOf = async (reply: Response) => {
    const { width, height, format } = await sharp(Buffer.from(await reply.arrayBuffer())).metadata()
    return { width, height, format }
  }

  it.each([
    ['width=96&height=96&method=crop', { width: 96, height: 96 }],
    ['width=30&height=30&method=crop', { width: 32, height: 32 }],
    ['width=128&height=128&method=crop', { width: 320, height: 320 }],
    ['width=900&height=900&method=crop', { width: 800, height: 800 }],
    ['width=300&height=200&method=crop', { width: 320, height: 240 }],
    ['width=320&height=240&method=scale', { width: 480, height: 240 }],
    ['width=640&height=480&method=scale', { width: 960, height: 480 }],
    ['width=800&height=600&method=scale', { width: 1200, height: 600 }],
    ['width=300&height=200', { width: 480, height: 240 }],
  ])('is no smaller than asked: %s of 2000x1000', async (query, expected) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await picture(2000, 1000), 'image/jpeg')
    const reply = await thumbnail(server, alice, media, query)
    expect(reply.headers.get('content-type')).toBe('image/jpeg')
    expect(await sizeOf(reply)).toMatchObject(expected)
    expect(await sizeOf(await thumbnail(server, alice, media, query))).toMatchObject(expected)
  })

  it('is the original where that is smaller: nothing is made larger', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const original = await picture(20, 10)
    const media = await upload(server, alice, original, 'image/jpeg')
    for (const query of ['width=320&height=240&method=scale', 'width=32&height=32&method=crop']) {
      const reply = await thumbnail(server, alice, media, query)
      expect(Buffer.from(await reply.arrayBuffer()).equals(original), query).toBe(true)
    }
  })

  it('moves where that is asked for, and stands still otherwise', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const frames = await Promise.all(
      ['#f00', '#0f0', '#00f'].map((background) =>
        sharp({ create: { width: 400, height: 400, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    )
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer()
    const media = await upload(server, alice, gif, 'image/gif')
    const pages = async (query: string) =>
      (
        await sharp(Buffer.from(await (await thumbnail(server, alice, media, query)).arrayBuffer()), {
          animated: true,
        }).metadata()
      ).pages ?? 1
    expect(await pages('width=96&height=96&method=crop&animated=true')).toBe(3)
    expect(await pages('width=96&height=96&method=crop&animated=false')).toBe(1)
    expect(await pages('width=96&height=96&method=crop')).toBe(1)
    const moving = await thumbnail(server, alice, media, 'width=96&height=96&animated=true')
    expect(moving.headers.get('content-type')).toBe('image/webp')
  })

  it('is shown inline, with a file name, in the type of a picture that may be', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await picture(500, 500), 'image/jpeg', '?filename=holiday.jpg')
    for (const animated of ['', '&animated=true', '&animated=false']) {
      const reply = await thumbnail(server, alice, media, `width=96&height=96${animated}`)
      // What cannot move is the same whether it may or not.
      expect([animated, reply.status, reply.headers.get('content-type')]).toEqual([animated, 200, 'image/jpeg'])
      expect(reply.headers.get('content-disposition')).toBe('inline; filename=thumbnail.jpeg')
    }
  })

  it.each([
    ['text', () => Promise.resolve(Buffer.from('not a picture')), 'image/png', 400, 'M_UNKNOWN'],
    [
      'a vector image',
      () => Promise.resolve(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')),
      'image/svg+xml',
      400,
      'M_UNKNOWN',
    ],
    [
      'a video',
      () => Promise.resolve(Buffer.from('0000001866747970697336d0000000006973366d6d703432', 'hex')),
      'video/mp4',
      400,
      'M_UNKNOWN',
    ],
    ['a broken picture', async () => (await picture(600, 600)).subarray(0, 200), 'image/jpeg', 400, 'M_UNKNOWN'],
    ['a picture of a hundred million pixels', () => picture(10_000, 10_000), 'image/jpeg', 413, 'M_TOO_LARGE'],
  ])('is refused for %s, and the server goes on', async (_what, make, type, status, errcode) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await make(), type)
    const reply = await thumbnail(server, alice, media, 'width=96&height=96&method=crop')
    expect(reply.status).toBe(status)
    expect(await reply.json()).toMatchObject({ errcode })
    expect((await download(server, alice, media)).status).toBe(200)
    expect(server.complaints).toEqual([])
  })

  it.each(['width=0&height=5', 'width=x&height=5', 'height=5', 'width=5&height=5&method=squeeze'])(
    'refuses %s',
    async (query) => {
      await using server = await startTestServer()
      const alice = await server.register('alice')
      const media = await upload(server, alice, await picture(50, 50), 'image/jpeg')
      expect((await thumbnail(server, alice, media, query)).status).toBe(400)
    },
  )
})
