import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FormBrowser, formBrowser } from '../../support/form-browser.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { logInWithOAuth, signIn } from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

const WHOAMI = '/_matrix/client/v3/account/whoami'
const clock = manualClock()
let server: TestServer
let people = 0
beforeAll(async () => {
  server = await startTestServer({ clock })
})
afterAll(() => server[Symbol.asyncDispose]())

async function newPerson(): Promise<{ name: string; browser: FormBrowser; userId: string }> {
  people += 1
  const name = `person${people}`
  const { userId } = await server.register(name)
  const browser = formBrowser(server.baseUrl)
  await browser.get('/account')
  await signIn(browser, name)
  return { name, browser, userId }
}
const at = (action: string, deviceId?: string): string =>
  `/account?${new URLSearchParams({ action, ...(deviceId !== undefined && { device_id: deviceId }) })}`

describe('client-server-api §Account management URL actions', () => {
  it('asks for a login first, and goes on to the action', async () => {
    await server.register('zoe')
    const { deviceId } = await logInWithOAuth(server.baseUrl, 'zoe')
    const browser = formBrowser(server.baseUrl)
    await browser.get(at('org.matrix.device_view', deviceId))
    expect((await signIn(browser, 'zoe')).text).toContain(deviceId)
  })

  it('org.matrix.profile: changes the display name', async () => {
    const { browser, userId } = await newPerson()
    await browser.get(at('org.matrix.profile'))
    expect((await browser.submit('/account', { displayname: 'Ännchen <b>' })).text).toContain('Saved.')
    const { body } = await server.api().get(`/_matrix/client/v3/profile/${userId}`)
    expect(body.displayname).toBe('Ännchen <b>')
  })

  it.each(['org.matrix.devices_list', 'org.matrix.sessions_list', 'sessions_list'])(
    '%s: lists the devices',
    async (action) => {
      const { browser, name } = await newPerson()
      const { deviceId } = await logInWithOAuth(server.baseUrl, name)
      const { text } = await browser.get(at(action))
      expect(text).toContain(deviceId)
      expect(text).toContain('Example')
    },
  )

  it.each(['org.matrix.device_delete', 'session_end'])(
    '%s: signs a device out once the user says so',
    async (action) => {
      const { browser, name } = await newPerson()
      const session = await logInWithOAuth(server.baseUrl, name)
      expect((await browser.get(at(action, session.deviceId))).text).toContain('Example')
      expect((await server.api(session.access_token).get(WHOAMI)).status).toBe(200)
      expect((await browser.submit('/account')).text).toContain('The device is signed out.')
      expect((await server.api(session.access_token).get(WHOAMI)).status).toBe(401)
    },
  )

  it('says so where there is no such device, also for another user’s', async () => {
    const { browser } = await newPerson()
    const other = await newPerson()
    const { deviceId } = await logInWithOAuth(server.baseUrl, other.name)
    for (const id of ['NONE', deviceId]) {
      const page = await browser.get(at('org.matrix.device_view', id))
      expect(page.status).toBe(404)
    }
  })

  it('org.matrix.account_deactivate: deletes the account with its password', async () => {
    const { browser, name, userId } = await newPerson()
    const session = await logInWithOAuth(server.baseUrl, name)
    await browser.get(at('org.matrix.account_deactivate'))
    expect((await browser.submit('/account', { password: 'wrong' })).status).toBe(403)
    expect((await server.api(session.access_token).get(WHOAMI)).status).toBe(200)
    const done = await browser.submit('/account', { password: `password of ${name}` })
    expect(done.title).toContain('Your account is deleted.')
    expect((await server.api(session.access_token).get(WHOAMI)).status).toBe(401)
    expect((await server.api().get(`/_matrix/client/v3/profile/${userId}`)).status).toBe(404)
    expect((await browser.get('/account')).title).toContain('Sign in')
  })

  it('changes the password, and signs out devices and other browsers', async () => {
    const { browser, name } = await newPerson()
    const elsewhere = formBrowser(server.baseUrl)
    await elsewhere.get('/account')
    await signIn(elsewhere, name)
    const session = await logInWithOAuth(server.baseUrl, name)
    const form = { action: 'password', new_password: 'another good one', logout_devices: 'yes' }
    await browser.get('/account')
    expect((await browser.submit('/account', { ...form, password: 'wrong' })).status).toBe(403)
    const weak = await browser.submit('/account', { ...form, password: `password of ${name}`, new_password: 'short' })
    expect(weak.status).toBe(400)
    expect((await browser.submit('/account', { ...form, password: `password of ${name}` })).text).toContain('changed')
    expect((await server.api(session.access_token).get(WHOAMI)).status).toBe(401)
    expect((await elsewhere.get('/account')).title).toContain('Sign in')
    expect((await browser.get('/account')).title).toContain('Profile')
  })
})

describe('client-server-api §OAuth authentication: replacing cross-signing keys', () => {
  const upload = '/_matrix/client/v3/keys/device_signing/upload'
  const keyOf = (userId: string, seed: string) => {
    const key = Buffer.alloc(32, seed).toString('base64').replace(/=+$/, '')
    return { master_key: { user_id: userId, usage: ['master'], keys: { [`ed25519:${key}`]: key } } }
  }
  interface Challenge {
    readonly session: string
    readonly flows: readonly { readonly stages: readonly string[] }[]
    readonly params: Readonly<Record<string, { readonly url: string }>>
  }

  it('asks OAuth sessions to go to the account page, and others for the password', async () => {
    const { name, browser, userId } = await newPerson()
    const session = await logInWithOAuth(server.baseUrl, name)
    const api = server.api(session.access_token)
    expect((await api.post(upload, keyOf(userId, 'a'))).status).toBe(200)

    const asked = await api.post<Challenge>(upload, keyOf(userId, 'b'))
    expect(asked.status).toBe(401)
    expect(asked.body.flows).toEqual([{ stages: ['m.oauth'] }, { stages: ['org.matrix.cross_signing_reset'] }])
    const url = asked.body.params['m.oauth']?.url ?? ''
    expect(url).toBe(`${server.baseUrl}/account?action=org.matrix.cross_signing_reset`)
    expect(asked.body.params['org.matrix.cross_signing_reset']?.url).toBe(url)
    const again = () => api.post<Challenge>(upload, { ...keyOf(userId, 'b'), auth: { session: asked.body.session } })
    expect((await again()).status).toBe(401)
    const password = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: name },
      password: `password of ${name}`,
    }
    const byPassword = await api.post(upload, {
      ...keyOf(userId, 'b'),
      auth: { ...password, session: asked.body.session },
    })
    expect(byPassword.status).toBe(401)

    await browser.get(url)
    expect((await browser.submit('/account', { password: 'wrong' })).status).toBe(403)
    expect((await again()).status).toBe(401)
    await browser.submit('/account', { password: `password of ${name}` })
    expect((await again()).status).toBe(200)

    // Once, and no more.
    const next = await api.post<Challenge>(upload, keyOf(userId, 'c'))
    const auth = { session: next.body.session }
    expect((await api.post(upload, { ...keyOf(userId, 'c'), auth })).status).toBe(401)

    const legacy = await (await server.login(name)).api.post<Challenge>(upload, keyOf(userId, 'd'))
    expect(legacy.body.flows).toEqual([{ stages: ['m.login.password'] }])
  })

  it('forgets the word of a user who does not use it', async () => {
    const { name, browser, userId } = await newPerson()
    const api = server.api((await logInWithOAuth(server.baseUrl, name)).access_token)
    await api.post(upload, keyOf(userId, 'a'))
    const { body } = await api.post<Challenge>(upload, keyOf(userId, 'b'))
    await browser.get(body.params['m.oauth']?.url ?? '')
    await browser.submit('/account', { password: `password of ${name}` })
    clock.advance(10 * 60_000)
    const late = await api.post(upload, { ...keyOf(userId, 'b'), auth: { session: body.session, type: 'm.oauth' } })
    expect(late.status).toBe(401)
  })
})

describe('client-server-api §OAuth 2.0 API: endpoints with user-interactive authentication', () => {
  it('cannot be used by OAuth sessions, whatever they prove', async () => {
    const { name, userId } = await newPerson()
    const session = await logInWithOAuth(server.baseUrl, name)
    const api = server.api(session.access_token)
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: name },
      password: `password of ${name}`,
    }
    const calls = [
      api.post('/_matrix/client/v3/account/deactivate', { auth }),
      api.post('/_matrix/client/v3/account/password', { new_password: 'a new good one', auth }),
      api.post('/_matrix/client/v3/delete_devices', { devices: [session.deviceId], auth }),
      api.delete(`/_matrix/client/v3/devices/${session.deviceId}`, { auth }),
    ]
    for (const { status, body } of await Promise.all(calls)) {
      expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    }
    expect((await api.get(WHOAMI)).body.user_id).toBe(userId)
    const { body } = await api.get<{ capabilities: Record<string, unknown> }>('/_matrix/client/v3/capabilities')
    expect(body.capabilities['m.change_password']).toEqual({ enabled: false })
  })

  it('can be used again once the same device has logged in with the legacy API', async () => {
    const { name } = await newPerson()
    const { deviceId } = await logInWithOAuth(server.baseUrl, name)
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: name },
      password: `password of ${name}`,
    }
    const { body } = await server
      .api()
      .post<{ access_token: string }>('/_matrix/client/v3/login', { ...auth, device_id: deviceId })
    const deleted = await server.api(body.access_token).delete(`/_matrix/client/v3/devices/${deviceId}`, { auth })
    expect(deleted.status).toBe(200)
  })

  it('leaves logging out to them as well', async () => {
    const { name } = await newPerson()
    const { access_token: token } = await logInWithOAuth(server.baseUrl, name)
    expect((await server.api(token).post('/_matrix/client/v3/logout')).status).toBe(200)
    expect((await server.api(token).get(WHOAMI)).status).toBe(401)
  })
})
