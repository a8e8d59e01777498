import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const script = `console.log("${'hearth '.repeat(500)}")`

describe('the page that client listeners serve', () => {
  let folder: string
  let server: TestServer
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hearth-page-'))
    await mkdir(join(folder, 'dist', 'assets'), { recursive: true })
    await writeFile(join(folder, 'secret.txt'), 'not for the network')
    await writeFile(join(folder, 'dist', 'index.html'), '<!doctype html><title>Hearth</title>')
    await writeFile(join(folder, 'dist', '.built-from.json'), '{}')
    await writeFile(join(folder, 'dist', 'source.ts'), 'const a = 1')
    await writeFile(join(folder, 'dist', 'assets', 'index-DiwrgTda.js'), script)
    await writeFile(join(folder, 'dist', 'assets', 'crypto-AbCdEf12.wasm'), Buffer.alloc(5_000))
    server = await startTestServer({ pageFolder: join(folder, 'dist') })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    server.api().fetch(path, { headers, redirect: 'manual' })

  /** A path as it is written, which `fetch` would tidy up. */
  const getRaw = (path: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(server.baseUrl)
      request({ hostname, port, path }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
        .on('error', reject)
        .end()
    })

  it('is at /, under a strict policy, and asked for anew each time', async () => {
    const response = await get('/')
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await response.text()).toContain('Hearth')
    expect(response.headers.get('cache-control')).toBe('no-cache')
    const policy = response.headers.get('content-security-policy') ?? ''
    for (const rule of ["default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "object-src 'none'"]) {
      expect(policy.split('; ')).toContain(rule)
    }
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain("'unsafe-eval'")
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
  })

  it('has files that are cached for ever where their names change with their content', async () => {
    const response = await get('/assets/index-DiwrgTda.js')
    expect(await response.text()).toBe(script)
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  })

  it('shows WebAssembly as what it is, so that browsers compile it while it comes', async () => {
    expect((await get('/assets/crypto-AbCdEf12.wasm')).headers.get('content-type')).toBe('application/wasm')
  })

  it.each([
    ['br', 'gzip, deflate, br'],
    ['gzip', 'gzip'],
    ['gzip', 'br;q=0, gzip'],
    [null, 'identity'],
  ])('is compressed by %s for clients that accept %s', async (encoding, accepted) => {
    const response = await get('/assets/index-DiwrgTda.js', { 'accept-encoding': accepted })
    expect(response.headers.get('content-encoding')).toBe(encoding)
    expect(response.headers.get('vary')).toBe('Accept-Encoding')
    expect(await response.text()).toBe(script)
  })

  it('is not sent again to who has it', async () => {
    const etag = (await get('/')).headers.get('etag') ?? ''
    const response = await get('/', { 'if-none-match': etag })
    expect([response.status, await response.text()]).toEqual([304, ''])
  })

  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/assets/%2e%2e%2f%2e%2e%2fsecret.txt',
    '/..\\secret.txt',
    '//etc/passwd.txt',
    '/%00.txt',
    '/.built-from.json',
    '/source.ts',
    '/assets/none.js',
    '/%ff.js',
  ])('has no file %s', async (path) => {
    const { status, text } = await getRaw(path)
    expect(status).toBe(404)
    expect(JSON.parse(text)).toMatchObject({ errcode: 'M_UNRECOGNIZED' })
  })

  it('brings who typed a place of the app to the app', async () => {
    const response = await get('/rooms/anything')
    expect([response.status, response.headers.get('location')]).toEqual([302, '/'])
  })

  it('takes no path from the APIs', async () => {
    for (const path of ['/_matrix/client/v3/nothing', '/_hearth/nothing', '/.well-known/matrix/nothing']) {
      expect((await get(path)).status).toBe(404)
    }
    expect((await server.api().post('/')).status).toBe(404)
  })

  it('says how to build it where it is not built', async () => {
    await using bare = await startTestServer()
    const response = await bare.api().fetch('/')
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('npm run build')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'")
  })

  it('is not there where the configuration says so, or the listener serves no clients', async () => {
    const pageFolder = join(folder, 'dist')
    await using off = await startTestServer({ pageFolder, config: { web: { enabled: false } } })
    expect((await off.api().fetch('/')).status).toBe(404)
    const listeners = [{ address: '127.0.0.1', port: 0, serves: ['federation'] }]
    await using federation = await startTestServer({ pageFolder, config: { listeners } })
    expect((await federation.api().fetch('/')).status).toBe(404)
  })
})
