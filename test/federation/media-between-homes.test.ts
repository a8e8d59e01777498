import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { type ForeignServer, startForeignServer } from '../support/foreign-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import type { Person } from '../support/test-server.ts'

let homes: Homes & { readonly 0: Home; readonly 1: Home }
let alice: Person
let bob: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test'])
  alice = await homes[0].register('alice')
  bob = await homes[1].register('bob')
})
afterAll(() => homes[Symbol.asyncDispose]())

const download = (mxc: string, query = ''): Promise<Response> =>
  fetch(`${homes[1].baseUrl}/_matrix/client/v1/media/download/${mxc}${query}`, {
    headers: { authorization: `Bearer ${bob.accessToken}` },
  })

const thumbnail = (mxc: string, query: string): Promise<Response> =>
  fetch(`${homes[1].baseUrl}/_matrix/client/v1/media/thumbnail/${mxc}?${query}`, {
    headers: { authorization: `Bearer ${bob.accessToken}` },
  })

/** @returns server name and media ID */
async function upload(bytes: Uint8Array<ArrayBuffer>, contentType: string, fileName = 'file'): Promise<string> {
  const reply = await fetch(`${homes[0].baseUrl}/_matrix/media/v3/upload?filename=${encodeURIComponent(fileName)}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': contentType },
    body: bytes,
  })
  return ((await reply.json()) as { content_uri: string }).content_uri.slice('mxc://'.length)
}

const picture = async (): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(
    await sharp({ create: { width: 640, height: 480, channels: 3, background: '#b45309' } })
      .png()
      .toBuffer(),
  )

const errcodeOf = async (reply: Response): Promise<unknown> => [
  reply.status,
  ((await reply.json()) as { errcode: string }).errcode,
]

/** A signed request to the first home, and the parts of its answer. */
async function signed(there: ForeignServer, uri: string) {
  const authorization = there.authorization({ method: 'GET', uri, destination: homes[0].serverName })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const { serverName: servername, federationPort: port } = homes[0]
    request(
      {
        host: '127.0.0.1',
        port,
        servername,
        ca: homes.ca.certificate,
        path: uri,
        headers: { authorization },
        agent: false,
      },
      resolve,
    )
      .on('error', reject)
      .end()
  })
  const body = (await buffer(answer)).toString('latin1')
  const boundary = /^multipart\/mixed; boundary=(\w+)$/.exec(answer.headers['content-type'] ?? '')?.[1]
  const parts = boundary === undefined ? [] : `\r\n${body}`.split(`\r\n--${boundary}`).slice(1, -1)
  return {
    status: answer.statusCode,
    parts: parts.map((part) => {
      const end = part.indexOf('\r\n\r\n')
      return { headers: part.slice(2, end), body: part.slice(end + 4) }
    }),
  }
}

describe('server-server-api §Content Repository, between homes', () => {
  it('fetches media with its type and name, byte for byte, once', async () => {
    const bytes = new Uint8Array(randomBytes(3_000_000))
    // What ends a part, as far as anybody can guess it.
    bytes.set(Buffer.from('\r\n--'), 70_000)
    const mxc = await upload(bytes, 'audio/ogg', 'voix de l’été.ogg')
    const reply = await download(mxc)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('audio/ogg')
    expect(reply.headers.get('content-disposition')).toBe(
      `inline; filename*=utf-8''${encodeURIComponent('voix de l’été.ogg')}`,
    )
    expect(Buffer.from(await reply.arrayBuffer()).equals(bytes)).toBe(true)
    homes.cut(homes[0], homes[1])
    try {
      const again = await download(mxc)
      expect(Buffer.from(await again.arrayBuffer()).equals(bytes)).toBe(true)
    } finally {
      homes.healAll()
    }
  })

  it('fetches an empty file', async () => {
    const reply = await download(await upload(new Uint8Array(), 'text/plain'))
    expect([reply.status, await reply.text()]).toEqual([200, ''])
  })

  it('makes small pictures of the pictures of others', async () => {
    const reply = await thumbnail(await upload(await picture(), 'image/png'), 'width=96&height=96&method=crop')
    expect(reply.status).toBe(200)
    const { width, height } = await sharp(Buffer.from(await reply.arrayBuffer())).metadata()
    expect([width, height]).toEqual([96, 96])
  })

  it('tells apart what is not there, what is yet to come, and a server that is away', async () => {
    expect(await errcodeOf(await download('alpha.test/nothing'))).toEqual([404, 'M_NOT_FOUND'])
    const { body } = await homes[0].api(alice.accessToken).post('/_matrix/media/v1/create')
    const waiting = (body as { content_uri: string }).content_uri.slice('mxc://'.length)
    expect(await errcodeOf(await download(waiting, '?timeout_ms=0'))).toEqual([504, 'M_NOT_YET_UPLOADED'])
    expect(await errcodeOf(await download('nowhere.test/a'))).toEqual([502, 'M_UNKNOWN'])
  })

  it('hands over what is uploaded while another waits for it', async () => {
    const { body } = await homes[0].api(alice.accessToken).post('/_matrix/media/v1/create')
    const waiting = (body as { content_uri: string }).content_uri.slice('mxc://'.length)
    const downloaded = download(waiting, '?timeout_ms=20000')
    const put = await fetch(`${homes[0].baseUrl}/_matrix/media/v3/upload/${waiting}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${alice.accessToken}`, 'content-type': 'text/plain' },
      body: 'late',
    })
    expect(put.status).toBe(200)
    expect(await (await downloaded).text()).toBe('late')
  })

  it('is not handed out any more once an administrator has quarantined it', async () => {
    const admin = await registerAdmin(homes[0], 'admin')
    const mxc = await upload(new Uint8Array([1]), 'text/plain')
    expect((await admin.api.put(`/_hearth/client/v1/media/${mxc}/quarantine`, { quarantined: true })).status).toBe(200)
    expect(await errcodeOf(await download(mxc))).toEqual([404, 'M_NOT_FOUND'])
  })

  it('gives servers of other makes bytes and thumbnails in two parts', async () => {
    await using there = await startForeignServer({ ca: homes.ca, name: 'there.test' })
    homes.names.set(there.name, { port: there.port })
    const bytes = await picture()
    const mediaId = (await upload(bytes, 'image/png', 'a b.png')).split('/')[1] ?? ''
    const whole = await signed(there, `/_matrix/federation/v1/media/download/${mediaId}`)
    expect([whole.status, whole.parts[0]]).toEqual([200, { headers: 'Content-Type: application/json', body: '{}' }])
    expect(whole.parts[1]?.headers).toBe('Content-Type: image/png\r\nContent-Disposition: inline; filename="a b.png"')
    expect(Buffer.from(whole.parts[1]?.body ?? '', 'latin1').equals(bytes)).toBe(true)
    expect(whole.parts).toHaveLength(2)
    const small = await signed(
      there,
      `/_matrix/federation/v1/media/thumbnail/${mediaId}?width=32&height=32&method=crop&animated=false`,
    )
    const { width } = await sharp(Buffer.from(small.parts[1]?.body ?? '', 'latin1')).metadata()
    expect([small.status, width]).toEqual([200, 32])
    const bad = await signed(there, `/_matrix/federation/v1/media/thumbnail/${mediaId}?width=-1&height=32`)
    expect(bad.status).toBe(400)
    const text = (await upload(new Uint8Array([1]), 'text/plain')).split('/')[1]
    const none = await signed(there, `/_matrix/federation/v1/media/thumbnail/${text}?width=32&height=32`)
    expect(none.status).toBe(400)
    expect((await signed(there, '/_matrix/federation/v1/media/download/nothing')).status).toBe(404)
  })

  it('serves nobody who does not sign', async () => {
    const mxc = await upload(new Uint8Array([1]), 'text/plain')
    const path = `/_matrix/federation/v1/media/download/${mxc.split('/')[1]}`
    expect((await homes.call(homes[0], path)).status).toBe(401)
  })
})

describe('server-server-api §Content Repository, media of servers of other makes', () => {
  let server: Server | undefined
  let asked: { readonly url: string; readonly authorization: string | undefined }[]
  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  /** A server that answers as it is told, by the path without its query. */
  async function foreign(
    answers: Record<string, { status?: number; headers?: Record<string, string>; body?: string | Buffer }>,
    options: { readonly name?: string; readonly isEndless?: boolean } = {},
  ): Promise<string> {
    const name = options.name ?? `m${randomBytes(4).toString('hex')}.test`
    const { certificate, privateKey } = await homes.ca.issue([name])
    const own: typeof asked = []
    asked = own
    server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
      const { pathname } = new URL(request.url ?? '', 'https://x')
      own.push({ url: request.url ?? '', authorization: request.headers.authorization })
      const {
        status = 200,
        headers = {},
        body = '',
      } = answers[pathname] ?? {
        status: 404,
        headers: { 'content-type': 'application/json' },
        body: '{"errcode":"M_UNRECOGNIZED","error":"?"}',
      }
      response.writeHead(status, headers)
      if (options.isEndless !== true) return void response.end(body)
      response.on('error', () => {})
      const more = (): void => {
        while (!response.destroyed && response.write(body));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    homes.names.set(name, { port: (server.address() as AddressInfo).port })
    return name
  }

  const newPath = '/_matrix/federation/v1/media/download/a'
  const multipart = (body: string, boundary = 'b'): { headers: Record<string, string>; body: string } => ({
    headers: { 'content-type': `multipart/mixed; boundary=${boundary}` },
    body,
  })
  const json = '--b\r\nContent-Type: application/json\r\n\r\n{}\r\n'

  it.each([
    ['a preamble', `hello\r\n${json}--b\r\nContent-Type: text/plain\r\n\r\nsoup\r\n--b--\r\n`],
    ['an empty line first', `\r\n${json}--b\r\nContent-Type: text/plain\r\n\r\nsoup\r\n--b--`],
    ['an epilogue', `${json}--b\r\ncontent-type:text/plain\r\n\r\nsoup\r\n--b--\r\nbye`],
    ['no headers', '--b\r\n\r\n{}\r\n--b\r\n\r\nsoup\r\n--b--'],
  ])('reads an answer with %s', async (_name, body) => {
    const name = await foreign({ [newPath]: multipart(body) })
    expect(await (await download(`${name}/a`)).text()).toBe('soup')
    expect(asked[0]?.authorization).toContain('X-Matrix')
  })

  it('keeps what only looks like the end', async () => {
    const text = 'one\r\n--bb\r\n--b-\r\ntwo\n--b--'
    const name = await foreign({ [newPath]: multipart(`${json}--b\r\n\r\n${text}\r\n--b--\r\n`) })
    expect(await (await download(`${name}/a`)).text()).toBe(text)
  })

  it.each([
    ['no boundary', { headers: { 'content-type': 'multipart/mixed' }, body: `${json}--b\r\n\r\nsoup\r\n--b--` }],
    ['another boundary', multipart(`${json}--b\r\n\r\nsoup\r\n--b--`, 'c')],
    ['no multipart', { headers: { 'content-type': 'text/plain' }, body: 'soup' }],
    ['no end', multipart(`${json}--b\r\n\r\nsoup`)],
    ['one part', multipart(`${json}--b--`)],
    ['three parts', multipart(`${json}--b\r\n\r\nsoup\r\n--b\r\n\r\nmore\r\n--b--`)],
    ['JSON that is none', multipart('--b\r\n\r\n{\r\n--b\r\n\r\nsoup\r\n--b--')],
    ['a header without name', multipart(`${json}--b\r\n: soup\r\n\r\nsoup\r\n--b--`)],
    ['headers without end', multipart(`${json}--b\r\n${'a: b\r\n'.repeat(10_000)}`)],
    ['JSON without end', multipart(`--b\r\n\r\n{"a":"${'a'.repeat(200_000)}`)],
    ['a redirect to plain HTTP', multipart(`${json}--b\r\nLocation: http://127.0.0.1:1/x\r\n\r\n\r\n--b--`)],
    ['a redirect to nowhere', multipart(`${json}--b\r\nLocation: soup\r\n\r\n\r\n--b--`)],
    ['a status of its own', { ...multipart(`${json}--b\r\n\r\nsoup\r\n--b--`), status: 206 }],
  ])('refuses an answer with %s: 502', async (_name, answer) => {
    const name = await foreign({ [newPath]: answer })
    expect(await errcodeOf(await download(`${name}/a`))).toEqual([502, 'M_UNKNOWN'])
  })

  it('reads no answer without end', async () => {
    const name = await foreign(
      { [newPath]: multipart(`${json}--b\r\n\r\n${'soup'.repeat(100_000)}`) },
      { isEndless: true },
    )
    const reply = await download(`${name}/a`)
    expect(reply.status).toBe(502)
  }, 60_000)

  it('follows a Location, without its signature', async () => {
    const store = await foreign({ '/elsewhere': { headers: { 'content-type': 'text/plain' }, body: 'soup' } })
    const kept = server
    const atStore = asked
    const { port } = homes.names.get(store) ?? { port: 0 }
    const location = `https://${store}:${port}/elsewhere?key=1`
    const name = await foreign({ [newPath]: multipart(`${json}--b\r\nLocation: ${location}\r\n\r\n\r\n--b--`) })
    const reply = await download(`${name}/a`)
    kept?.closeAllConnections()
    kept?.close()
    expect([reply.status, reply.headers.get('content-type'), await reply.text()]).toEqual([200, 'text/plain', 'soup'])
    expect(atStore).toEqual([{ url: '/elsewhere?key=1', authorization: undefined }])
  })

  it('asks a server from before v1.11 by the old endpoint, unsigned, and for its own media alone', async () => {
    const headers = { 'content-type': 'text/plain', 'content-disposition': 'inline; filename="a \\"b\\".txt"' }
    const name = `m${randomBytes(4).toString('hex')}.test`
    await foreign({ [`/_matrix/media/v3/download/${name}/a`]: { headers, body: 'soup' } }, { name })
    const reply = await download(`${name}/a`)
    expect([reply.status, await reply.text()]).toEqual([200, 'soup'])
    expect(reply.headers.get('content-disposition')).toBe('inline; filename="a \\"b\\".txt"')
    expect(asked).toHaveLength(2)
    expect(asked[1]?.url).toContain('allow_remote=false')
    expect(asked[1]?.authorization).toBeUndefined()
  })

  it('does not ask the old endpoint for what the new one says is not there', async () => {
    const name = await foreign({
      [newPath]: { status: 404, headers: { 'content-type': 'application/json' }, body: '{"errcode":"M_NOT_FOUND"}' },
    })
    expect(await errcodeOf(await download(`${name}/a`))).toEqual([404, 'M_NOT_FOUND'])
    expect(asked).toHaveLength(1)
  })
})
