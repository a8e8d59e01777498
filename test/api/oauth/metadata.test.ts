import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §Server metadata discovery', () => {
  it('names every endpoint at the place where clients reach the server', async () => {
    const { status, body, headers } = await server.api().get('/_matrix/client/v1/auth_metadata')
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toMatch(/max-age=/)
    expect(body).toMatchObject({
      issuer: `${server.baseUrl}/`,
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment'],
      grant_types_supported: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      code_challenge_methods_supported: ['S256'],
      prompt_values_supported: expect.arrayContaining(['create']),
      account_management_uri: `${server.baseUrl}/account`,
      account_management_actions_supported: [
        'org.matrix.profile',
        'org.matrix.devices_list',
        'org.matrix.device_view',
        'org.matrix.device_delete',
        'org.matrix.account_deactivate',
        'org.matrix.cross_signing_reset',
      ],
    })
    for (const [name, url] of Object.entries(body)) {
      if (name.endsWith('_endpoint') || name.endsWith('_uri'))
        expect(String(url).startsWith(`${server.baseUrl}/`)).toBe(true)
    }
  })

  it('answers the same at the URL of before the specification, and at that of RFC 8414', async () => {
    const { body } = await server.api().get('/_matrix/client/v1/auth_metadata')
    for (const path of [
      '/_matrix/client/unstable/org.matrix.msc2965/auth_metadata',
      '/.well-known/oauth-authorization-server',
    ]) {
      expect((await server.api().get(path)).body).toEqual(body)
    }
  })

  it('uses the public base URL', async () => {
    await using behindProxy = await startTestServer({ config: { public_base_url: 'https://home.example/chat' } })
    const { body } = await behindProxy.api().get('/_matrix/client/v1/auth_metadata')
    expect(body).toMatchObject({
      issuer: 'https://home.example/chat/',
      token_endpoint: 'https://home.example/chat/oauth/token',
    })
    const { body: login } = { body: await (await fetch(`${behindProxy.baseUrl}/oauth/login`)).text() }
    expect(login).toContain('action="/chat/oauth/login"')
  })
})

describe('client-server-api §Authentication API discovery', () => {
  it('leaves passwords to clients that know nothing else, and points those that do to the login page', async () => {
    const { body } = await server.api().get<{ flows: { type: string }[] }>('/_matrix/client/v3/login')
    expect(body.flows[0]).toEqual({ type: 'm.login.password' })
    expect(body.flows).toContainEqual(expect.objectContaining({ type: 'm.login.sso', oauth_aware_preferred: true }))
    expect(body.flows).toContainEqual({ type: 'm.login.token', get_login_token: true })
  })
})
