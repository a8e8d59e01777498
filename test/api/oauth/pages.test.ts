import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formBrowser } from '../../support/form-browser.ts'
import { manualClock } from '../../support/manual-clock.ts'
import {
  answerOf,
  authorizeUrl,
  discover,
  type Metadata,
  newFlow,
  registerClient,
  signIn,
  webClient,
} from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
let metadata: Metadata
let clientId: string
beforeAll(async () => {
  server = await startTestServer()
  await server.register('alice')
  metadata = await discover(server.baseUrl)
  clientId = (await registerClient(metadata)).body.client_id
})
afterAll(() => server[Symbol.asyncDispose]())

async function loggedIn(language = 'en') {
  const browser = formBrowser(server.baseUrl, language)
  await browser.get('/account')
  await signIn(browser, 'alice')
  return browser
}

describe('the pages of the authorization server', () => {
  it('load nothing, run nothing and stand in no frame', async () => {
    const browser = await loggedIn()
    const pages = [
      await browser.get('/oauth/login'),
      await browser.get('/oauth/new-account'),
      await browser.get('/account'),
      await browser.get('/link'),
      await browser.get(authorizeUrl(metadata, newFlow(clientId))),
      await browser.get(authorizeUrl(metadata, newFlow('nobody'))),
    ]
    for (const { headers, html } of pages) {
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).toContain("base-uri 'none'")
      expect(policy).toMatch(/form-action 'self'/)
      expect(policy).not.toMatch(/unsafe|script-src/)
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(html).not.toMatch(/<script|\son\w+=|javascript:/i)
    }
  })

  it('let their forms lead back to the client, and nowhere else', async () => {
    const uris = [
      ['http://127.0.0.1/back', 'http://127.0.0.1:8000/back', 'http://127.0.0.1:8000'],
      // A policy cannot name an IPv6 address.
      ['http://[::1]/back', 'http://[::1]:8000/back', 'http:'],
      ['org.example.app:/back', 'org.example.app:/back', 'org.example.app:'],
      ['https://app.example.org/', 'https://app.example.org/', 'https:'],
    ] as const
    const redirect_uris = uris.map(([registered]) => registered)
    const said = { ...webClient, application_type: 'native', client_uri: 'https://example.org/', redirect_uris }
    const { body } = await registerClient(metadata, said)
    const browser = await loggedIn()
    for (const [, redirect_uri, source] of uris) {
      const { headers } = await browser.get(authorizeUrl(metadata, newFlow(body.client_id, { redirect_uri })))
      expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${source};`)
    }
  })

  it('speak German to those who read German, and English to all others', async () => {
    expect((await formBrowser(server.baseUrl, 'de-AT,en;q=0.5').get('/account')).html).toContain('<html lang="de">')
    expect((await formBrowser(server.baseUrl, 'de').get('/account')).text).toContain('Benutzername')
    expect((await formBrowser(server.baseUrl, 'fr').get('/account')).html).toContain('<html lang="en">')
  })

  it('show what a client says of itself as text', async () => {
    const client_name = '<img src=x onerror=alert(1)>"\'&'
    const { body } = await registerClient(metadata, { ...webClient, client_name })
    const { html } = await (await loggedIn()).get(authorizeUrl(metadata, newFlow(body.client_id)))
    expect(html).not.toContain('<img')
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;')
  })

  it('carry the state of a request back as it came', async () => {
    const state = `"><script>alert(1)</script>&x=%20 ü`
    const browser = await loggedIn()
    const page = await browser.get(authorizeUrl(metadata, newFlow(clientId, { state })))
    expect(page.html).not.toContain('<script')
    expect(answerOf(await browser.submit('/oauth/authorize', { decision: 'allow' })).state).toBe(state)
  })

  it('keep the cookie from scripts and from other sites', async () => {
    const plain = await fetch(`${server.baseUrl}/oauth/login`)
    expect(plain.headers.get('set-cookie')).toMatch(/^hearth=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/)
    await using secure = await startTestServer({ config: { public_base_url: 'https://home.example' } })
    const cookie = (await fetch(`${secure.baseUrl}/oauth/login`)).headers.get('set-cookie')
    expect(cookie).toMatch(/^__Host-hearth=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+; Secure$/)
  })

  it('give a new cookie at the login, so that one planted before is worth nothing', async () => {
    const browser = formBrowser(server.baseUrl)
    await browser.get('/account')
    const before = browser.cookies.get('hearth')
    await signIn(browser, 'alice')
    expect(browser.cookies.get('hearth')).not.toBe(before)
    const thief = formBrowser(server.baseUrl)
    thief.cookies.set('hearth', before ?? '')
    expect((await thief.get('/account')).title).toContain('Sign in')
  })

  it('take no form that another site has made', async () => {
    const browser = await loggedIn()
    const flow = newFlow(clientId)
    const forged = { ...flow.parameters, decision: 'allow' }
    expect((await browser.post('/oauth/authorize', forged)).status).toBe(403)
    expect((await browser.post('/oauth/authorize', { ...forged, form_token: 'guess' })).status).toBe(403)
    const page = await browser.get(authorizeUrl(metadata, flow))
    const form_token = /name="form_token" value="([^"]+)"/.exec(page.html)?.[1] ?? ''
    const fromElsewhere = { 'sec-fetch-site': 'cross-site' }
    expect((await browser.post('/oauth/authorize', { ...forged, form_token }, fromElsewhere)).status).toBe(403)
    const other = await loggedIn()
    expect((await other.post('/oauth/authorize', { ...forged, form_token })).status).toBe(403)
    expect((await browser.post('/oauth/authorize', { ...forged, form_token })).leftFor).toBeDefined()
    for (const path of ['/oauth/login', '/oauth/logout', '/oauth/new-account', '/link', '/account', '/oauth/sso']) {
      expect((await browser.post(path, { username: 'alice' })).status).toBe(403)
    }
  })

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '/account/../..//evil.example',
    '/_matrix/x',
    '',
  ])('lead on to pages of this server only, not to %j', async (wish) => {
    const browser = formBrowser(server.baseUrl)
    await browser.get(`/oauth/login?${new URLSearchParams({ continue: wish })}`)
    const page = await signIn(browser, 'alice')
    expect(page.leftFor).toBeUndefined()
    expect(new URL(page.url).pathname).toBe('/account')
  })

  it('say the same of a wrong name and of a wrong password', async () => {
    const texts = []
    for (const username of ['alice', 'nobody']) {
      const browser = formBrowser(server.baseUrl)
      await browser.get('/oauth/login')
      const page = await browser.submit('/oauth/login', { username, password: 'wrong password' })
      texts.push([page.status, page.text.replace(username, '')])
    }
    expect(texts[0]).toEqual(texts[1])
    expect(texts[0]?.[0]).toBe(403)
  })

  it('stop who guesses passwords', async () => {
    await using strict = await startTestServer({ config: { rate_limits: { enabled: true } } })
    await strict.register('alice')
    const browser = formBrowser(strict.baseUrl)
    await browser.get('/oauth/login')
    let page = await browser.submit('/oauth/login', { username: 'alice', password: 'guess' })
    for (let i = 0; i < 30 && page.status !== 429; i += 1) {
      page = await browser.submit('/oauth/login', { username: 'alice', password: `guess ${i}` })
    }
    expect(page.status).toBe(429)
    expect(page.text).toContain('Too many attempts')
    expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  it('offer no new accounts where registration is closed', async () => {
    await using closed = await startTestServer({ config: { registration: { open: false } } })
    const browser = formBrowser(closed.baseUrl)
    expect((await browser.get('/oauth/login')).html).not.toContain('new-account')
    const page = await browser.get('/oauth/new-account')
    expect(page.text).toContain('by invitation only')
    await browser.get('/oauth/login')
    const form_token = /name="form_token" value="([^"]+)"/.exec((await browser.get('/oauth/login')).html)?.[1] ?? ''
    const made = await browser.post('/oauth/new-account', { form_token, username: 'eve', password: 'a good password' })
    expect(made.status).toBe(403)
  })

  it('forget who was logged in after a week, and after a sign-out', async () => {
    const clock = manualClock()
    await using later = await startTestServer({ clock })
    await later.register('alice')
    const browser = formBrowser(later.baseUrl)
    await browser.get('/account')
    expect((await signIn(browser, 'alice')).title).toContain('Profile')
    const kept = new Map(browser.cookies)
    await browser.submit('/oauth/logout')
    browser.cookies.set('hearth', kept.get('hearth') ?? '')
    expect((await browser.get('/account')).title).toContain('Sign in')
    await signIn(browser, 'alice')
    clock.advance(7 * 24 * 60 * 60_000)
    expect((await browser.get('/account')).title).toContain('Sign in')
  })
})

describe('client-server-api §Client login via SSO, §OAuth 2.0 aware clients', () => {
  const redirect = (query: Readonly<Record<string, string>>) =>
    `/_matrix/client/v3/login/sso/redirect?${new URLSearchParams({ ...query })}`

  it('gives a client of the legacy API a login token by way of the login page', async () => {
    const browser = formBrowser(server.baseUrl)
    await browser.get(redirect({ redirectUrl: 'https://chat.example/#/back?x=1', action: 'login' }))
    const asked = await signIn(browser, 'alice')
    expect(asked.title).toContain('Continue to chat.example?')
    const { leftFor } = await browser.submit('/oauth/sso')
    expect(leftFor?.origin).toBe('https://chat.example')
    expect(leftFor?.hash).toBe('#/back?x=1')
    const token = leftFor?.searchParams.get('loginToken')
    const logIn = () => server.api().post('/_matrix/client/v3/login', { type: 'm.login.token', token })
    expect(await logIn()).toMatchObject({ status: 200, body: { user_id: '@alice:hearth.test' } })
    expect(await logIn()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('redirects to the login page, and from there to the redirectUrl with its own loginToken alone', async () => {
    const path = redirect({ redirectUrl: 'https://chat.example/?loginToken=planted&a=1&loginToken=again#/x' })
    const first = await fetch(`${server.baseUrl}${path}`, { redirect: 'manual' })
    expect([first.status, first.headers.get('location')?.startsWith(`${server.baseUrl}/oauth/`)]).toEqual([302, true])
    const browser = formBrowser(server.baseUrl)
    expect((await browser.get(path)).title).toContain('Sign in')
    await signIn(browser, 'alice')
    const { leftFor } = await browser.submit('/oauth/sso')
    expect(leftFor?.searchParams.get('a')).toBe('1')
    expect(leftFor?.hash).toBe('#/x')
    const tokens = leftFor?.searchParams.getAll('loginToken') ?? []
    expect(tokens).toHaveLength(1)
    expect(['planted', 'again']).not.toContain(tokens[0])
    const login = { type: 'm.login.token', token: tokens[0] }
    expect((await server.api().post('/_matrix/client/v3/login', login)).status).toBe(200)
  })

  it('gives login tokens that are good for half a minute', async () => {
    const clock = manualClock()
    await using later = await startTestServer({ clock })
    await later.register('alice')
    const browser = formBrowser(later.baseUrl)
    await browser.get(redirect({ redirectUrl: 'https://chat.example/' }))
    await signIn(browser, 'alice')
    const logIn = async (waitMs: number) => {
      await browser.get(redirect({ redirectUrl: 'https://chat.example/' }))
      const token = (await browser.submit('/oauth/sso')).leftFor?.searchParams.get('loginToken')
      clock.advance(waitMs)
      return (await later.api().post('/_matrix/client/v3/login', { type: 'm.login.token', token })).status
    }
    expect(await logIn(29_000)).toBe(200)
    expect(await logIn(30_000)).toBe(403)
  })

  it('shows how to make an account with action=register', async () => {
    const browser = formBrowser(server.baseUrl)
    const page = await browser.get(redirect({ redirectUrl: 'app.example:/back', action: 'register' }))
    expect(page.title).toContain('Make an account')
    const asked = await browser.submit('/oauth/new-account', { username: 'dora', password: 'a good password' })
    expect(asked.title).toContain('Continue to an app on this device?')
  })

  it.each(['javascript:alert(1)', 'data:text/html,x', 'nothing', ''])('redirects nobody to %j', async (redirectUrl) => {
    expect((await server.api().get(redirect({ redirectUrl }))).status).toBe(400)
  })

  it('knows no identity providers', async () => {
    const { status } = await server
      .api()
      .get('/_matrix/client/v3/login/sso/redirect/any?redirectUrl=https://a.example/')
    expect(status).toBe(404)
  })
})
