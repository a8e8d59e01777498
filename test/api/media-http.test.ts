import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let alice: Person
let path: string
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  const reply = await alice.api.fetch('/_matrix/media/v3/upload', {
    method: 'POST',
    body: '0123456789',
    headers: { 'content-type': 'text/plain' },
  })
  const { content_uri } = (await reply.json()) as { content_uri: string }
  path = `/_matrix/client/v1/media/download/${content_uri.slice('mxc://'.length)}`
})
afterAll(() => server[Symbol.asyncDispose]())
const get = (headers: Record<string, string> = {}, method = 'GET') => alice.api.fetch(path, { headers, method })

describe('downloads as HTTP: RFC 9110', () => {
  it('answers HEAD as GET, without the bytes and whatever the range', async () => {
    for (const range of [undefined, 'bytes=0-1', 'bytes=99-']) {
      const reply = await get(range === undefined ? {} : { range }, 'HEAD')
      expect([reply.status, await reply.text()]).toEqual([200, ''])
      expect(reply.headers.get('content-length')).toBe('10')
      expect(reply.headers.get('accept-ranges')).toBe('bytes')
      expect(reply.headers.get('content-disposition')).toBe('inline')
    }
  })

  it('sends nothing again to whoever has it, however they say so', async () => {
    const etag = (await get()).headers.get('etag') ?? ''
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const reply = await get({ 'if-none-match': known })
      expect([known, reply.status, await reply.text()]).toEqual([known, 304, ''])
      expect(reply.headers.get('etag')).toBe(etag)
      expect(reply.headers.get('cache-control')).toBe('private, max-age=31536000, immutable')
    }
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(200)
  })

  it('takes a range only of what the client has the beginning of', async () => {
    const etag = (await get()).headers.get('etag') ?? ''
    expect((await get({ range: 'bytes=2-3', 'if-range': etag })).status).toBe(206)
    for (const other of ['"other"', `W/${etag}`, 'Wed, 21 Oct 2015 07:28:00 GMT']) {
      const reply = await get({ range: 'bytes=2-3', 'if-range': other })
      expect([other, reply.status, await reply.text()]).toEqual([other, 200, '0123456789'])
    }
  })

  it('sends all of it where several ranges are asked for, as a server may', async () => {
    const reply = await get({ range: 'bytes=0-1,4-5' })
    expect([reply.status, await reply.text()]).toEqual([200, '0123456789'])
  })

  it('says of a range that there is not how much there is', async () => {
    const reply = await get({ range: 'bytes=10-12' })
    expect([reply.status, await reply.text()]).toEqual([416, ''])
    expect(reply.headers.get('content-range')).toBe('bytes */10')
  })

  it.each([
    ['text/html', 'attachment'],
    ['image/svg+xml', 'attachment'],
    ['application/xhtml+xml', 'attachment'],
    ['application/pdf', 'attachment'],
    ['text/plain; charset=utf-8', 'inline'],
    ['IMAGE/PNG', 'inline'],
  ])('serves %s as %s, in a sandbox', async (type, disposition) => {
    const headers = { 'content-type': type }
    const uploaded = await alice.api.fetch('/_matrix/media/v3/upload', { method: 'POST', body: 'x', headers })
    const { content_uri } = (await uploaded.json()) as { content_uri: string }
    const reply = await alice.api.fetch(`/_matrix/client/v1/media/download/${content_uri.slice('mxc://'.length)}`)
    expect(reply.headers.get('content-disposition')).toBe(disposition)
    expect(reply.headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none';/)
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('refuses an upload to an ID of another server, or that nobody made: 404 M_NOT_FOUND', async () => {
    for (const media of ['other.test/a', 'hearth.test/never']) {
      const reply = await alice.api.put(`/_matrix/media/v3/upload/${media}`, {})
      expect(reply).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    }
  })
})
