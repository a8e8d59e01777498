import { type Logger, logger as sdkLogger } from 'matrix-js-sdk/lib/logger.js'
import { createClient } from 'matrix-js-sdk/lib/matrix.js'
import { isValidAuthMetadata, OAuth2 } from 'matrix-js-sdk/lib/oauth/index.js'
import { TokenRefresher } from 'matrix-js-sdk/lib/oauth/tokenRefresher.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formBrowser } from '../../support/form-browser.ts'
import { answerOf, REDIRECT_URI, signIn } from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

/** Says nothing. */
const logger: Logger = Object.assign(Object.create(sdkLogger) as Logger, {
  debug: () => {},
  info: () => {},
  getChild: () => logger,
})
const said = { client_name: 'SDK', client_uri: 'https://app.example.org/', redirect_uris: [REDIRECT_URI] as [string] }
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

const discover = () => createClient({ baseUrl: server.baseUrl, logger }).getAuthMetadata()
const whoami = (accessToken: string) => createClient({ baseUrl: server.baseUrl, accessToken, logger }).whoami()

describe('matrix-js-sdk, as Element Web uses it', () => {
  it('calls the metadata valid', async () => {
    expect(isValidAuthMetadata(await discover())).toBe(true)
  })

  it('registers, logs in, refreshes and revokes', async () => {
    const metadata = await discover()
    const clientId = await OAuth2.registerClient(metadata, said, logger)
    const oauth = new OAuth2(metadata, { clientId }, logger)
    const browser = formBrowser(server.baseUrl)
    await browser.get(await oauth.generateAuthorizationCodeGrantUrl('state', REDIRECT_URI))
    await signIn(browser, 'alice')
    const { code, state } = answerOf(await browser.submit('/oauth/authorize', { decision: 'allow' }))
    expect(state).toBe('state')
    const first = await oauth.completeAuthorizationCodeGrant(code ?? '', REDIRECT_URI)
    const device_id = oauth.context.deviceId
    expect(await whoami(first.access_token)).toMatchObject({ user_id: '@alice:hearth.test', device_id })
    const second = await oauth.performRefreshTokenGrant(first.refresh_token ?? '')
    expect(await whoami(second.access_token)).toMatchObject({ device_id })
    await oauth.revokeToken(second.access_token, 'access_token')
    await expect(whoami(second.access_token)).rejects.toThrow('401')
    // The error that makes the SDK end the session.
    const refresher = new TokenRefresher(oauth, async () => {})
    await expect(refresher.refreshTokens(second.refresh_token ?? '')).rejects.toHaveProperty(
      'name',
      'TokenRefreshLogoutError',
    )
  })

  it('signs in by a device code', async () => {
    const metadata = await discover()
    const clientId = await OAuth2.registerClient(metadata, said, logger)
    const oauth = new OAuth2(metadata, { clientId }, logger)
    const begun = await oauth.startDeviceAuthorizationGrant()
    const browser = formBrowser(server.baseUrl)
    await browser.get(begun.verification_uri_complete ?? '')
    await signIn(browser, 'alice')
    await browser.submit('/link', { decision: 'allow' })
    const granted = await oauth.waitForDeviceAuthorizationGrant(begun)
    if ('error' in granted) throw new Error(granted.error)
    expect(await whoami(granted.access_token)).toMatchObject({ device_id: oauth.context.deviceId })
  })
})
