import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formBrowser } from '../../support/form-browser.ts'
import { keptStore } from '../../support/kept-store.ts'
import { manualClock } from '../../support/manual-clock.ts'
import {
  discover,
  type Metadata,
  type OAuthReply,
  postForm,
  registerClient,
  scopeFor,
  signIn,
  type Tokens,
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
  metadata = await discover(server.baseUrl)
  clientId = (await registerClient(metadata)).body.client_id
})
afterAll(() => server[Symbol.asyncDispose]())

interface Begun {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete: string
  readonly expires_in: number
  readonly interval: number
}

const begin = (scope = scopeFor('TELLY'), client_id = clientId): Promise<OAuthReply<Begun>> =>
  postForm<Begun>(metadata.device_authorization_endpoint, { client_id, scope })

/** Asks as a client that waits as it should. */
function poll({ device_code }: Begun, client_id = clientId, at = metadata): Promise<OAuthReply<Tokens>> {
  clock.advance(5_000)
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  return postForm<Tokens>(at.token_endpoint, { grant_type, device_code, client_id })
}

async function decide(begun: Begun, decision: 'allow' | 'deny') {
  const browser = formBrowser(server.baseUrl)
  await browser.get(begun.verification_uri_complete)
  const asked = await signIn(browser, 'alice')
  return { asked, decided: await browser.submit('/link', { decision }) }
}

describe('client-server-api §Device authorisation flow', () => {
  it('signs a device in that has no browser', async () => {
    const { status, body } = await begin()
    expect(status).toBe(200)
    expect(body).toMatchObject({ verification_uri: `${server.baseUrl}/link`, interval: 5 })
    expect(body.user_code).toMatch(/^[B-Z]{4}-[B-Z]{4}$/)
    expect(await poll(body)).toMatchObject({ status: 400, body: { error: 'authorization_pending' } })
    const { asked, decided } = await decide(body, 'allow')
    expect(asked.text).toContain(body.user_code)
    expect(asked.text).toContain('Example')
    expect(decided.text).toContain('The other device is signed in')
    const granted = await poll(body)
    expect(granted.body).toMatchObject({ token_type: 'Bearer', scope: scopeFor('TELLY') })
    expect(granted.body.refresh_token).toBeTruthy()
    expect((await server.api(granted.body.access_token).get(WHOAMI)).body).toMatchObject({
      user_id: '@alice:hearth.test',
      device_id: 'TELLY',
    })
    expect(await poll(body)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  it('takes the code typed as people type', async () => {
    const { body } = await begin()
    const browser = formBrowser(server.baseUrl)
    await browser.get('/link')
    await signIn(browser, 'alice')
    const wrong = await browser.submit('/link', { user_code: 'XXXX-XXXX' })
    expect(wrong.text).toContain('This code is wrong')
    const asked = await browser.submit('/link', { user_code: ` ${body.user_code.toLowerCase().replace('-', ' ')} ` })
    expect(asked.text).toContain(body.user_code)
  })

  it('tells the device when the user does not agree', async () => {
    const { body } = await begin()
    await decide(body, 'deny')
    expect(await poll(body)).toMatchObject({ status: 400, body: { error: 'access_denied' } })
  })

  it('slows down who asks too often', async () => {
    const { body } = await begin()
    await poll(body)
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
    const early = await postForm(metadata.token_endpoint, {
      grant_type,
      device_code: body.device_code,
      client_id: clientId,
    })
    expect(early).toMatchObject({ status: 400, body: { error: 'slow_down' } })
    // From now on five seconds are too early as well.
    expect((await poll(body)).body.error).toBe('slow_down')
  })

  it('ends after its time, for the device and for the user', async () => {
    const { body } = await begin()
    clock.advance(body.expires_in * 1000 - 5_000)
    expect((await poll(body)).status).toBe(400)
    const browser = formBrowser(server.baseUrl)
    await browser.get(body.verification_uri_complete)
    expect((await signIn(browser, 'alice')).text).toContain('This code is wrong')
  })

  it('refuses a device code to another client, and codes that never were', async () => {
    const { body } = await begin()
    const other = await registerClient(metadata, { ...webClient, client_name: 'Other' })
    await decide(body, 'allow')
    expect((await poll(body, other.body.client_id)).body.error).toBe('invalid_grant')
    expect((await poll({ ...body, device_code: 'hdc_x' })).body.error).toBe('invalid_grant')
    expect((await poll(body)).status).toBe(200)
  })

  it('refuses unknown clients, clients without this grant, and other scopes', async () => {
    expect((await begin(scopeFor('TELLY'), 'nobody')).body.error).toBe('invalid_client')
    const grant_types = ['authorization_code', 'refresh_token']
    const other = await registerClient(metadata, { ...webClient, grant_types })
    expect((await begin(scopeFor('TELLY'), other.body.client_id)).body.error).toBe('unauthorized_client')
    expect((await begin('openid')).body.error).toBe('invalid_scope')
  })

  it('survives a restart between the user and the device', async () => {
    const openStore = keptStore()
    let begun: Begun
    let id: string
    {
      await using first = await startTestServer({ openStore, clock })
      await first.register('alice')
      const at = await discover(first.baseUrl)
      id = (await registerClient(at)).body.client_id
      begun = (await postForm<Begun>(at.device_authorization_endpoint, { client_id: id, scope: scopeFor('TELLY') }))
        .body
      const browser = formBrowser(first.baseUrl)
      await browser.get(begun.verification_uri_complete)
      await signIn(browser, 'alice')
      await browser.submit('/link', { decision: 'allow' })
    }
    await using second = await startTestServer({ openStore, clock })
    expect((await poll(begun, id, await discover(second.baseUrl))).status).toBe(200)
  })
})
