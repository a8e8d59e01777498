import { hash } from 'node:crypto'
import { runInNewContext } from 'node:vm'
import { parseHTML } from 'linkedom'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { formBrowser, type Page } from '../support/form-browser.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const REGISTER = '/_matrix/client/v3/register'
const LOGIN = '/_matrix/static/client/login/'
const password = 'correct horse battery'
const policies = { rules: { version: '1', en: { name: 'House rules', url: 'https://example.org/rules' } } }

let server: TestServer
let root: Person
beforeAll(async () => {
  server = await startTestServer({ config: { registration: { shared_secret: 'for tests only' } } })
  root = await registerAdmin(server, 'root')
})
afterAll(() => server[Symbol.asyncDispose]())

const pageOf = (type: string, session: unknown) =>
  `/_matrix/client/v3/auth/${encodeURIComponent(type)}/fallback/web?${new URLSearchParams({ session: String(session) })}`

/** What the page's script does in a window; fails where the policy would not let it run. */
function runScript({ html, headers }: Page, window: object): void {
  const { document } = parseHTML(html)
  const text = document.querySelector('script')?.textContent ?? ''
  expect(headers.get('content-security-policy')).toContain(`script-src 'sha256-${hash('sha256', text, 'base64')}'`)
  const meta = document.querySelector('meta[name=matrix-login]')
  runInNewContext(text, { window, document: { querySelector: () => ({ content: meta?.getAttribute('content') }) } })
}

function toldByDone(page: Page): unknown[] {
  const told: unknown[] = []
  runScript(page, { onAuthDone: () => told.push('onAuthDone') })
  runScript(page, { opener: { postMessage: (...message: unknown[]) => told.push(message) } })
  runScript(page, {})
  return told
}

describe('client-server-api §Fallback', () => {
  it('does the stages of a registration, and tells the client of each', async () => {
    await root.api.put('/_hearth/client/v1/terms', { policies })
    const { token } = (await root.api.post<{ token: string }>('/_hearth/client/v1/registration_tokens', {})).body
    const wish = { username: 'webby', password }
    const { body } = await server.api().post(REGISTER, wish)
    const { session } = body
    expect(body.flows).toEqual([{ stages: ['m.login.registration_token', 'm.login.terms'] }])

    const browser = formBrowser(server.baseUrl)
    expect((await browser.get(pageOf('m.login.terms', session))).status, 'not the next stage').toBe(404)
    const asks = await browser.get(pageOf('m.login.registration_token', session))
    expect(asks).toMatchObject({ status: 200 })
    expect(asks.html).not.toContain('<script')
    expect((await browser.submit('/web', { token: 'WRONG' })).status).toBe(400)
    expect(toldByDone(await browser.submit('/web', { token }))).toEqual(['onAuthDone', ['authDone', '*']])
    expect(await server.api().post(REGISTER, { ...wish, auth: { session } })).toMatchObject({
      status: 401,
      body: { completed: ['m.login.registration_token'] },
    })

    const terms = await browser.get(pageOf('m.login.terms', session))
    expect(terms.html).toContain('href="https://example.org/rules"')
    expect((await browser.submit('/web')).status, 'not ticked').toBe(400)
    expect(toldByDone(await browser.submit('/web', { 'terms rules': '1' }))).toHaveLength(2)
    const made = await server.api().post(REGISTER, { ...wish, auth: { session } })
    expect(made).toMatchObject({ status: 200, body: { user_id: '@webby:hearth.test' } })
    await root.api.put('/_hearth/client/v1/terms', { policies: {} })
  })

  it('answers 401 to a client that does a stage before its turn, and does not count it', async () => {
    await root.api.put('/_hearth/client/v1/terms', { policies })
    const { token } = (await root.api.post<{ token: string }>('/_hearth/client/v1/registration_tokens', {})).body
    const wish = { username: 'hasty', password }
    const { session, flows } = (await server.api().post(REGISTER, wish)).body
    const attempt = (auth: object) => server.api().post(REGISTER, { ...wish, auth: { ...auth, session } })
    const early = await attempt({ type: 'm.login.terms' })
    expect(early).toMatchObject({ status: 401, body: { session, flows, errcode: 'M_FORBIDDEN' } })
    expect(early.body).not.toHaveProperty('completed')
    const next = await attempt({ type: 'm.login.registration_token', token })
    expect(next).toMatchObject({ status: 401, body: { session, flows, completed: ['m.login.registration_token'] } })
    expect(next.body).not.toHaveProperty('errcode')
    // What is done is not done again, whatever comes with it.
    const again = await attempt({ type: 'm.login.registration_token', token: 'another' })
    expect(again).toMatchObject({ status: 401, body: { completed: ['m.login.registration_token'] } })
    const made = await attempt({ type: 'm.login.terms' })
    expect(made).toMatchObject({ status: 200, body: { user_id: '@hasty:hearth.test' } })
    expect(await attempt({ type: 'm.login.terms' })).toMatchObject({ status: 200, body: made.body })
    await root.api.put('/_hearth/client/v1/terms', { policies: {} })
  })

  it('asks for the password, which must be that of the user who asks', async () => {
    const path = '/_matrix/client/v3/delete_devices'
    const { session } = (await root.api.post(path, { devices: [] })).body
    const browser = formBrowser(server.baseUrl)
    await browser.get(pageOf('m.login.password', session))
    const wrong = await browser.submit('/web', { username: 'root', password: 'wrong' })
    expect(wrong).toMatchObject({ status: 400, text: expect.stringContaining('do not fit together') })
    const other = await browser.submit('/web', { username: 'webby', password })
    expect(other.status).toBe(403)
    await browser.get(pageOf('m.login.password', session))
    expect((await browser.submit('/web', { username: 'root', password: 'password of root' })).html).toContain('<script')
    expect((await root.api.post(path, { devices: ['OTHER'], auth: { session } })).status, 'another body').toBe(403)
    expect((await root.api.post(path, { devices: [], auth: { session } })).status).toBe(200)
  })

  it('lets nobody skip a stage with the page of another', async () => {
    const { session } = (await root.api.post('/_matrix/client/v3/delete_devices', { devices: [] })).body
    const browser = formBrowser(server.baseUrl)
    for (const type of ['m.login.dummy', 'm.login.terms', 'm.login.registration_token', 'constructor', '__proto__']) {
      expect((await browser.get(pageOf(type, session))).status).toBe(404)
      expect((await browser.post(pageOf(type, session), { session: String(session) })).status).toBe(404)
    }
    expect(await root.api.post('/_matrix/client/v3/delete_devices', { devices: [], auth: { session } })).toMatchObject({
      status: 401,
    })
  })

  it.each(['', 'nobody', '<script>alert(1)</script>'])(
    'has a page for the session %j, which is none',
    async (session) => {
      const page = await formBrowser(server.baseUrl, 'de').get(pageOf('m.login.password', session))
      expect(page).toMatchObject({ status: 404, text: expect.stringContaining('fang dort neu an') })
      expect(page.html).not.toContain('<script>')
    },
  )
})

describe('client-server-api §Login Fallback', () => {
  it('logs in with what the query says of the device, and hands the answer to the app', async () => {
    const browser = formBrowser(server.baseUrl)
    const page = await browser.get(`${LOGIN}?device_id=WEBVIEW&initial_device_display_name=My%20app&refresh_token=true`)
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect((await browser.submit('/login/', { username: 'root', password: 'wrong' })).status).toBe(403)
    const done = await browser.submit('/login/', { username: 'root', password: 'password of root' })
    expect(done.text).not.toMatch(/WEBVIEW|token/)
    const told: Record<string, unknown>[] = []
    runScript(done, { matrixLogin: { onLogin: (reply: Record<string, unknown>) => told.push(reply) } })
    runScript(done, {})
    expect(told).toEqual([
      {
        user_id: root.userId,
        access_token: expect.any(String),
        refresh_token: expect.any(String),
        expires_in_ms: expect.any(Number),
        device_id: 'WEBVIEW',
        home_server: 'hearth.test',
      },
    ])
    const device = server.api(String(told[0]?.access_token))
    expect((await device.get('/_matrix/client/v3/devices/WEBVIEW')).body).toMatchObject({ display_name: 'My app' })
  })

  it('works without the slash at the end', async () => {
    expect((await formBrowser(server.baseUrl).get(LOGIN.slice(0, -1))).status).toBe(200)
  })
})
