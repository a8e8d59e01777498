import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formBrowser } from '../../support/form-browser.ts'
import { manualClock } from '../../support/manual-clock.ts'
import {
  answerOf,
  authorizeUrl,
  discover,
  exchange,
  getCode,
  type Metadata,
  NATIVE_REDIRECT_URI,
  newFlow,
  REDIRECT_URI,
  registerClient,
  scopeFor,
  signIn,
  webClient,
} from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

const WHOAMI = '/_matrix/client/v3/account/whoami'
const clock = manualClock()
let server: TestServer
let metadata: Metadata
let clientId: string
beforeAll(async () => {
  server = await startTestServer({ clock })
  await server.register('alice')
  await server.register('bob')
  metadata = await discover(server.baseUrl)
  clientId = (await registerClient(metadata)).body.client_id
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §Authorisation code flow', () => {
  it('lets a user sign in and agree, and gives the client tokens of the device that it named', async () => {
    const flow = newFlow(clientId)
    const browser = formBrowser(server.baseUrl)
    const login = await browser.get(authorizeUrl(metadata, flow))
    expect(login.title).toContain('Sign in')
    const consent = await signIn(browser, 'alice')
    expect(consent.text).toContain('Example')
    expect(consent.text).toContain('app.example.org')
    expect(consent.text).toContain('@alice:hearth.test')
    const back = await browser.submit('/oauth/authorize', { decision: 'allow' })
    expect(`${back.leftFor?.origin}${back.leftFor?.pathname}`).toBe(REDIRECT_URI)
    expect(back.leftFor?.search).toBe('')
    const { code, state, iss } = answerOf(back)
    expect(state).toBe(flow.parameters.state)
    expect(iss).toBe(metadata.issuer)

    const { status, body, headers } = await exchange(metadata, flow, code ?? '')
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(body).toMatchObject({ token_type: 'Bearer', scope: scopeFor(flow.deviceId) })
    expect(body.expires_in).toBeGreaterThan(0)
    expect(body.expires_in).toBeLessThanOrEqual(3_600)
    expect(body.refresh_token).toEqual(expect.any(String))
    expect((await server.api(body.access_token).get(WHOAMI)).body).toEqual({
      user_id: '@alice:hearth.test',
      device_id: flow.deviceId,
      is_guest: false,
    })
    const { body: device } = await server.api(body.access_token).get(`/_matrix/client/v3/devices/${flow.deviceId}`)
    expect(device.display_name).toBe('Example')
  })

  it('puts the answer into the query where the client asks for it, behind what the redirect URI has', async () => {
    const redirectUri = `${REDIRECT_URI}?from=home`
    const { body } = await registerClient(metadata, { ...webClient, redirect_uris: [redirectUri] })
    const flow = newFlow(body.client_id, { response_mode: 'query', redirect_uri: redirectUri })
    const browser = formBrowser(server.baseUrl)
    await browser.get(authorizeUrl(metadata, flow))
    await signIn(browser, 'alice')
    const { leftFor } = await browser.submit('/oauth/authorize', { decision: 'allow' })
    expect(leftFor?.searchParams.get('from')).toBe('home')
    expect(leftFor?.searchParams.get('code')).toBeTruthy()
    expect(leftFor?.hash).toBe('')
  })

  it('tells the client when the user does not agree', async () => {
    const flow = newFlow(clientId)
    const browser = formBrowser(server.baseUrl)
    await browser.get(authorizeUrl(metadata, flow))
    await signIn(browser, 'alice')
    const answer = answerOf(await browser.submit('/oauth/authorize', { decision: 'deny' }))
    expect(answer).toMatchObject({ error: 'access_denied', state: flow.parameters.state })
  })

  it('asks for consent alone while the browser is logged in, and for the password again with prompt=login', async () => {
    const browser = formBrowser(server.baseUrl)
    await browser.get(authorizeUrl(metadata, newFlow(clientId)))
    await signIn(browser, 'alice')
    expect((await browser.get(authorizeUrl(metadata, newFlow(clientId)))).text).toContain('@alice:hearth.test')
    const login = await browser.get(authorizeUrl(metadata, newFlow(clientId, { prompt: 'login' })))
    expect(login.title).toContain('Sign in')
    expect((await signIn(browser, 'bob')).text).toContain('@bob:hearth.test')
  })

  it('shows how to make an account with prompt=create, and goes on from there', async () => {
    const flow = newFlow(clientId, { prompt: 'create' })
    const browser = formBrowser(server.baseUrl)
    expect((await browser.get(authorizeUrl(metadata, flow))).title).toContain('Make an account')
    const taken = await browser.submit('/oauth/new-account', { username: 'alice', password: 'a good password' })
    expect(taken.text).toContain('This username is taken.')
    await browser.submit('/oauth/new-account', { username: 'carol', password: 'a good password' })
    const { code } = answerOf(await browser.submit('/oauth/authorize', { decision: 'allow' }))
    const { body } = await exchange(metadata, flow, code ?? '')
    expect((await server.api(body.access_token).get(WHOAMI)).body.user_id).toBe('@carol:hearth.test')
  })

  it('answers prompt=none without asking anybody', async () => {
    const browser = formBrowser(server.baseUrl)
    const url = () => authorizeUrl(metadata, newFlow(clientId, { prompt: 'none' }))
    expect(answerOf(await browser.get(url()))).toMatchObject({ error: 'login_required' })
    await browser.get('/account')
    await signIn(browser, 'alice')
    expect(answerOf(await browser.get(url()))).toMatchObject({ error: 'consent_required' })
  })

  it('lets native apps listen on any port of the loopback, and have a scheme of their own', async () => {
    const redirectUris = [NATIVE_REDIRECT_URI, 'http://127.0.0.1/back', 'http://[::1]/back']
    const said = {
      ...webClient,
      application_type: 'native',
      redirect_uris: redirectUris,
      client_uri: 'https://example.org',
    }
    const { body } = await registerClient(metadata, said)
    const browser = formBrowser(server.baseUrl)
    await browser.get('/account')
    await signIn(browser, 'alice')
    for (const redirectUri of [NATIVE_REDIRECT_URI, 'http://127.0.0.1:49152/back', 'http://[::1]:8/back']) {
      const flow = newFlow(body.client_id, { redirect_uri: redirectUri, response_mode: 'query' })
      await browser.get(authorizeUrl(metadata, flow))
      const back = await browser.submit('/oauth/authorize', { decision: 'allow' })
      expect(back.leftFor?.href.startsWith(`${redirectUri}?`)).toBe(true)
      expect((await exchange(metadata, flow, answerOf(back).code ?? '')).status).toBe(200)
    }
  })

  it.each([
    ['no response type', { response_type: '' }, 'unsupported_response_type'],
    ['an implicit grant', { response_type: 'token' }, 'unsupported_response_type'],
    ['no code challenge', { code_challenge: '' }, 'invalid_request'],
    ['a plain code challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no code challenge method', { code_challenge_method: '' }, 'invalid_request'],
    ['another response mode', { response_mode: 'form_post' }, 'invalid_request'],
    ['no scope', { scope: '' }, 'invalid_scope'],
    ['no device', { scope: 'urn:matrix:client:api:*' }, 'invalid_scope'],
    ['an empty device ID', { scope: 'urn:matrix:client:api:* urn:matrix:client:device:' }, 'invalid_scope'],
    ['two devices', { scope: `${scopeFor('ONE')} urn:matrix:client:device:TWO` }, 'invalid_scope'],
    ['a device alone', { scope: 'urn:matrix:client:device:ONE' }, 'invalid_scope'],
    ['a character that scopes cannot have', { scope: scopeFor('O"NE') }, 'invalid_scope'],
    ['a letter beyond ASCII', { scope: scopeFor('ÖNE') }, 'invalid_scope'],
  ])('tells the client of %s', async (_, changes, error) => {
    const flow = newFlow(clientId, changes)
    const page = await formBrowser(server.baseUrl).get(authorizeUrl(metadata, flow))
    expect(answerOf(page)).toMatchObject({ error, state: flow.parameters.state })
  })

  it.each([
    ['an unknown client', { client_id: 'nobody' }],
    ['another host', { redirect_uri: 'https://evil.example/callback' }],
    ['another path', { redirect_uri: `${REDIRECT_URI}/deeper` }],
    ['an added query', { redirect_uri: `${REDIRECT_URI}?next=https://evil.example` }],
    ['a port', { redirect_uri: 'https://app.example.org:8443/callback' }],
    ['no redirect URI', { redirect_uri: '' }],
    ['script', { redirect_uri: 'javascript:alert(1)' }],
  ])('sends the browser nowhere with %s', async (_, changes) => {
    const page = await formBrowser(server.baseUrl).get(authorizeUrl(metadata, newFlow(clientId, changes)))
    expect(page.leftFor).toBeUndefined()
    expect(page.status).toBe(400)
  })

  it('takes the scopes of before the specification, and leaves out what it does not know', async () => {
    const old = 'urn:matrix:org.matrix.msc2967.client:'
    const scope = `openid ${old}api:* ${old}device:OLDDEVICE`
    const flow = newFlow(clientId, { scope })
    const { body } = await exchange(metadata, flow, await getCode(server.baseUrl, metadata, flow, 'alice'))
    expect(body.scope).toBe(`${old}api:* ${old}device:OLDDEVICE`)
    expect((await server.api(body.access_token).get(WHOAMI)).body.device_id).toBe('OLDDEVICE')
  })

  it('gives a device that is there new tokens in place of its old ones, and says so before', async () => {
    const person = await server.login('alice')
    const flow = newFlow(clientId, {}, person.deviceId)
    const browser = formBrowser(server.baseUrl)
    await browser.get(authorizeUrl(metadata, flow))
    expect((await signIn(browser, 'alice')).text).toContain('It takes the place of your session')
    const { code } = answerOf(await browser.submit('/oauth/authorize', { decision: 'allow' }))
    expect((await exchange(metadata, flow, code ?? '')).status).toBe(200)
    expect((await person.api.get(WHOAMI)).status).toBe(401)
  })
})

describe('RFC 6749, 7636 and 9700: what an attacker tries with a code', () => {
  const invalidGrant = { status: 400, body: { error: 'invalid_grant' } }

  it('takes a code once; a second time ends the session that it opened', async () => {
    const flow = newFlow(clientId)
    const code = await getCode(server.baseUrl, metadata, flow, 'alice')
    const { body } = await exchange(metadata, flow, code)
    expect(await exchange(metadata, flow, code)).toMatchObject(invalidGrant)
    expect((await server.api(body.access_token).get(WHOAMI)).status).toBe(401)
  })

  it('opens one session where the same code comes twice at once', async () => {
    const flow = newFlow(clientId)
    const code = await getCode(server.baseUrl, metadata, flow, 'alice')
    const both = await Promise.all([exchange(metadata, flow, code), exchange(metadata, flow, code)])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  it.each([
    ['another verifier', { code_verifier: 'x'.repeat(64) }, 'invalid_grant'],
    ['a verifier that is too short', { code_verifier: 'x' }, 'invalid_grant'],
    ['no verifier', { code_verifier: '' }, 'invalid_request'],
    ['another redirect URI', { redirect_uri: 'https://app.example.org/other' }, 'invalid_grant'],
    ['no redirect URI', { redirect_uri: '' }, 'invalid_request'],
    ['an unknown client', { client_id: 'nobody' }, 'invalid_client'],
    ['another grant type', { grant_type: 'password' }, 'unsupported_grant_type'],
    ['a code that never was', { code: 'hac_nothing' }, 'invalid_grant'],
  ])('refuses the code with %s, and leaves it to its owner', async (_, changes, error) => {
    const flow = newFlow(clientId)
    const code = await getCode(server.baseUrl, metadata, flow, 'alice')
    const refused = await exchange(metadata, flow, code, changes)
    expect(refused.body.error).toBe(error)
    expect(refused.status).toBe(error === 'invalid_client' ? 401 : 400)
    expect((await exchange(metadata, flow, code)).status).toBe(200)
  })

  it('refuses the code of one client to another', async () => {
    const other = await registerClient(metadata, { ...webClient, client_name: 'Other' })
    expect(other.body.client_id).not.toBe(clientId)
    const flow = newFlow(clientId)
    const code = await getCode(server.baseUrl, metadata, flow, 'alice')
    expect(await exchange(metadata, flow, code, { client_id: other.body.client_id })).toMatchObject(invalidGrant)
    expect((await exchange(metadata, flow, code)).status).toBe(200)
  })

  it('refuses a code that is too old', async () => {
    const flow = newFlow(clientId)
    const code = await getCode(server.baseUrl, metadata, flow, 'alice')
    clock.advance(2 * 60_000)
    expect(await exchange(metadata, flow, code)).toMatchObject(invalidGrant)
  })

  it('refuses JSON, and parameters that come twice', async () => {
    const post = (body: string, type: string) =>
      fetch(metadata.token_endpoint, { method: 'POST', body, headers: { 'content-type': type } })
    const json = await post('{"grant_type":"refresh_token"}', 'application/json')
    expect([json.status, ((await json.json()) as { error: string }).error]).toEqual([400, 'invalid_request'])
    const twice = await post('grant_type=refresh_token&grant_type=refresh_token', 'application/x-www-form-urlencoded')
    expect([twice.status, ((await twice.json()) as { error: string }).error]).toEqual([400, 'invalid_request'])
  })
})
