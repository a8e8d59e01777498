import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_CLIENTS } from '../../../server/oauth/clients.ts'
import { formBrowser } from '../../support/form-browser.ts'
import { manualClock } from '../../support/manual-clock.ts'
import {
  authorizeUrl,
  discover,
  logInWithOAuth,
  type Metadata,
  newFlow,
  registerClient,
  webClient,
} from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

const clock = manualClock()
let server: TestServer
let metadata: Metadata
beforeAll(async () => {
  server = await startTestServer({ clock })
  await server.register('alice')
  metadata = await discover(server.baseUrl)
})
afterAll(() => server[Symbol.asyncDispose]())

const register = (changes: Readonly<Record<string, unknown>>) => registerClient(metadata, { ...webClient, ...changes })
const native = { application_type: 'native', client_uri: 'https://example.com/' }

describe('client-server-api §Dynamic client registration flow', () => {
  it('answers 201 with the ID and what was registered, without what it does not know', async () => {
    const { status, body } = await register({
      'client_name#fr': 'Exemple',
      policy_uri: 'https://example.org.app.example.org/policy',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:token-exchange'],
      software_id: 'x',
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      client_id: expect.any(String),
      client_name: 'Example',
      client_uri: webClient.client_uri,
      policy_uri: 'https://example.org.app.example.org/policy',
      redirect_uris: webClient.redirect_uris,
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      application_type: 'web',
    })
  })

  it('gives the same client the same ID, and another one another', async () => {
    const ids = await Promise.all([register({}), register({}), register({ client_name: 'Else' })])
    expect(ids[0]?.body.client_id).toBe(ids[1]?.body.client_id)
    expect(ids[0]?.body.client_id).not.toBe(ids[2]?.body.client_id)
  })

  it('needs no redirect URI of a client that only uses device codes', async () => {
    const grant_types = ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token']
    expect((await register({ redirect_uris: undefined, response_types: undefined, grant_types })).status).toBe(201)
  })

  it.each([
    ['no client URI', { client_uri: undefined }],
    ['a client URI with http', { client_uri: 'http://app.example.org/' }],
    ['a client URI with a user', { client_uri: 'https://user@app.example.org/' }],
    ['a client URI that is none', { client_uri: 'https://' }],
    ['a logo of another host', { logo_uri: 'https://evil.example/logo.png' }],
    ['terms with http', { tos_uri: 'http://app.example.org/tos' }],
    ['a policy of a host that only ends alike', { policy_uri: 'https://evilapp.example.org/policy' }],
    ['a secret', { token_endpoint_auth_method: 'client_secret_basic' }],
    ['another type of application', { application_type: 'desktop' }],
    ['no grant that we know', { grant_types: ['implicit'] }],
    ['no response type for codes', { response_types: ['token'] }],
    ['a name that is no text', { client_name: 5 }],
    ['redirect URIs that are no list', { redirect_uris: 'https://app.example.org/' }],
  ])('refuses %s', async (_, changes) => {
    expect(await register(changes)).toMatchObject({ status: 400, body: { error: 'invalid_client_metadata' } })
  })

  it.each(['not json', '[]', 'null', '{"client_uri":', ''])('refuses the body %j', async (body) => {
    const response = await fetch(metadata.registration_endpoint, { method: 'POST', body })
    expect(response.status).toBe(400)
    expect(await response.json()).toHaveProperty('error')
  })
})

describe('client-server-api §Redirect URI validation', () => {
  it.each([
    'https://example.com/callback',
    'https://app.example.com/callback',
    'https://example.com:5173/?query=value',
  ])('takes %s of a web client', async (uri) => {
    expect((await register({ client_uri: 'https://example.com/', redirect_uris: [uri] })).status).toBe(201)
  })

  it.each([
    'https://example.com/callback#fragment',
    'https://example.com/callback#',
    'http://example.com/callback',
    'http://localhost/',
    'https://user:pass@example.com/callback',
    'https://example.com.evil.example/',
    'https://evil.example\\@example.com/',
    'https:example.com/callback',
    'com.example.app:/callback',
    'javascript:alert(1)',
    '/callback',
    'https://example.com/\ncallback',
  ])('refuses %j of a web client', async (uri) => {
    const reply = await register({ client_uri: 'https://example.com/', redirect_uris: [uri] })
    expect(reply).toMatchObject({ status: 400, body: { error: 'invalid_redirect_uri' } })
  })

  it.each([
    'com.example.app:/callback',
    'com.example:/',
    'com.example:callback',
    'http://localhost/callback',
    'http://127.0.0.1/callback',
    'http://[::1]/callback',
    'https://app.example.com/claimed',
  ])('takes %s of a native client', async (uri) => {
    expect((await register({ ...native, redirect_uris: [uri] })).status).toBe(201)
  })

  it.each([
    'example:/callback',
    'com.example.app://callback',
    'com.examples:/callback',
    'https://localhost/callback',
    'http://localhost:1234/callback',
    'http://localhost:80/callback',
    'http://user@localhost/callback',
    'http://127.0.0.2/callback',
    'http://localhost.evil.example/callback',
    'com.example.app:/callback#fragment',
    'http://localhost/callback#fragment',
    'https://app.example.com/claimed#fragment',
    'javascript:alert(1)',
  ])('refuses %s of a native client', async (uri) => {
    const reply = await register({ ...native, redirect_uris: [uri] })
    expect(reply).toMatchObject({ status: 400, body: { error: 'invalid_redirect_uri' } })
  })

  it('takes no scheme for a domain of one word, which may be one that browsers know', async () => {
    const reply = await register({
      ...native,
      client_uri: 'https://javascript/',
      redirect_uris: ['javascript:alert(1)'],
    })
    expect(reply.status).toBe(400)
  })
})

describe('clients that nobody uses', () => {
  it('are forgotten after a day; those with a session stay', async () => {
    const unused = (await register({ client_name: 'Unused' })).body.client_id
    const { clientId } = await logInWithOAuth(server.baseUrl, 'alice')
    const isKnown = async (id: string) =>
      (await formBrowser(server.baseUrl).get(authorizeUrl(metadata, newFlow(id)))).status === 200
    expect([await isKnown(unused), await isKnown(clientId)]).toEqual([true, true])
    clock.advance(25 * 60 * 60_000)
    await expect.poll(() => isKnown(unused)).toBe(false)
    expect(await isKnown(clientId)).toBe(true)
  })

  it('cannot be made without end', async () => {
    await using small = await startTestServer({ clock })
    const at = await discover(small.baseUrl)
    const statuses = new Set<number>()
    for (let i = 0; i < MAX_CLIENTS; i += 100) {
      const names = Array.from({ length: 100 }, (_, j) => `client ${i + j}`)
      const replies = await Promise.all(names.map((client_name) => registerClient(at, { ...webClient, client_name })))
      for (const { status } of replies) statuses.add(status)
    }
    expect([...statuses]).toEqual([201])
    expect((await registerClient(at)).status).toBe(429)
    clock.advance(60 * 60_000 + 1)
    expect((await registerClient(at)).status).toBe(201)
  })
})
