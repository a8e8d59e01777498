import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
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
    const { content_uri } = (await create()).body as { content_uri: string }
    for (let i = 1; i < 20; i += 1) await create()
    expect(await create()).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
    clock.advance(25 * 3_600_000)
    const path = `/_matrix/media/v3/upload/${content_uri.slice('mxc://'.length)}`
    expect((await call(server, alice, path, { method: 'PUT', body: 'late' })).status).toBe(404)
    expect((await create()).status).toBe(200)
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
    const media = await upload(server, alice, await picture(20, 10), 'image/jpeg')
    expect(await sizeOf(await thumbnail(server, alice, media, 'width=320&height=240&method=scale'))).toMatchObject({
      width: 20,
      height: 10,
    })
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
  })

  it.each([
    ['text', () => Promise.resolve(Buffer.from('not a picture')), 'image/png', 400],
    [
      'a vector image',
      () => Promise.resolve(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')),
      'image/svg+xml',
      400,
    ],
    ['a broken picture', async () => (await picture(600, 600)).subarray(0, 200), 'image/jpeg', 400],
    ['a picture of a hundred million pixels', () => picture(10_000, 10_000), 'image/jpeg', 413],
  ])('is refused for %s, and the server goes on', async (_what, make, type, status) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const media = await upload(server, alice, await make(), type)
    expect((await thumbnail(server, alice, media, 'width=96&height=96&method=crop')).status).toBe(status)
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
