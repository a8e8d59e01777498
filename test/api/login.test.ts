import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formBrowser } from '../support/form-browser.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const LOGIN = '/_matrix/client/v3/login'
const WHOAMI = '/_matrix/client/v3/account/whoami'
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.register('alice')
  await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const asUser = (user: string, rest: object = {}) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password: 'password of alice',
  ...rest,
})
const logIn = (body: object) => server.api().post(LOGIN, body)

describe('client-server-api §Login', () => {
  it('offers the password', async () => {
    expect(await server.api().get(LOGIN)).toMatchObject({
      status: 200,
      body: { flows: expect.arrayContaining([{ type: 'm.login.password' }]) },
    })
  })

  it.each(['alice', 'Alice', '@alice:hearth.test', '@ALICE:hearth.test'])('knows the user as %s', async (user) => {
    const { status, body } = await logIn(asUser(user))
    expect(status).toBe(200)
    expect(body).toMatchObject({ user_id: '@alice:hearth.test', home_server: 'hearth.test' })
    expect((await server.api(body.access_token as string).get(WHOAMI)).body).toMatchObject({
      device_id: body.device_id,
    })
  })

  it('takes the deprecated user key', async () => {
    const { identifier: _, ...body } = asUser('')
    expect((await logIn({ ...body, user: 'alice' })).status).toBe(200)
  })

  it.each([
    ['a wrong password', asUser('alice', { password: 'password of bob' })],
    ['a user who is not there', asUser('mallory')],
    ['a user of another server', asUser('@alice:elsewhere.test')],
    ['a localpart that cannot be', asUser('al ice:')],
    [
      'a third-party identifier',
      asUser('', { identifier: { type: 'm.id.thirdparty', medium: 'email', address: 'a@b' } }),
    ],
    ['one without its type', asUser('', { identifier: { medium: 'email', address: 'a@b' } })],
    ['a phone number', asUser('', { identifier: { type: 'm.id.phone', country: 'GB', phone: '0' } })],
    ['a medium that is not email', { ...asUser(''), identifier: undefined, medium: 'msisdn', address: '447700900001' }],
    ['a login token that never was', { type: 'm.login.token', token: 'nonsense' }],
  ])('answers 403 M_FORBIDDEN to %s', async (_what, body) => {
    expect(await logIn(body)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it.each([
    ['M_UNKNOWN', { type: 'm.login.moonlight' }],
    ['M_MISSING_PARAM', { type: 'm.login.password' }],
    ['M_MISSING_PARAM', { type: 'm.login.password', password: 'x' }],
    ['M_MISSING_PARAM', asUser('', { identifier: { type: 'm.id.user' } })],
    ['M_INVALID_PARAM', asUser('', { identifier: { type: 'm.id.shoe' } })],
    ['M_INVALID_PARAM', asUser('alice', { device_id: 'line\nbreak' })],
    ['M_INVALID_PARAM', asUser('alice', { password: 'x'.repeat(600) })],
    ['M_BAD_JSON', asUser('alice', { password: 5 })],
    ['M_MISSING_PARAM', { identifier: {} }],
  ])('answers 400 %s to %j', async (errcode, body) => {
    expect(await logIn(body)).toMatchObject({ status: 400, body: { errcode } })
  })

  it('keeps a device that logs in again, with its name, and replaces its tokens', async () => {
    const first = await logIn(asUser('alice', { device_id: 'KEPT', initial_device_display_name: 'Kitchen' }))
    const again = await logIn(
      asUser('alice', { device_id: 'KEPT', initial_device_display_name: 'Other', refresh_token: true }),
    )
    expect(again.body.device_id).toBe('KEPT')
    expect(await server.api(first.body.access_token as string).get(WHOAMI)).toMatchObject({
      status: 401,
      body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false },
    })
    const device = await server.api(again.body.access_token as string).get('/_matrix/client/v3/devices/KEPT')
    expect(device.body).toMatchObject({ display_name: 'Kitchen' })
  })

  it('lets two people have devices of the same ID', async () => {
    const alice = await logIn(asUser('alice', { device_id: 'SAME' }))
    const bob = await logIn(asUser('bob', { device_id: 'SAME', password: 'password of bob' }))
    expect((await server.api(alice.body.access_token as string).get(WHOAMI)).body.user_id).toBe('@alice:hearth.test')
    expect((await server.api(bob.body.access_token as string).get(WHOAMI)).body.user_id).toBe('@bob:hearth.test')
  })

  it('takes a password however its letters are composed', async () => {
    const password = 'caf\u00e9 au lait'
    await server
      .api()
      .post('/_matrix/client/v3/register', { username: 'cafe', password, auth: { type: 'm.login.dummy' } })
    expect((await logIn(asUser('cafe', { password: password.normalize('NFD') }))).status).toBe(200)
  })

  it('slows down whoever guesses passwords of one account', async () => {
    await using guarded = await startTestServer({ config: { rate_limits: { enabled: true } } })
    await guarded.register('alice')
    const wrong = () => guarded.api().post(LOGIN, asUser('alice', { password: 'guess' }))
    const statuses: number[] = []
    for (let i = 0; i < 11; i += 1) statuses.push((await wrong()).status)
    expect(statuses).toEqual([...Array<number>(10).fill(403), 429])
    const refused = await wrong()
    expect(refused.body).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: expect.any(Number) })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('client-server-api §Using access tokens', () => {
  it('takes the token from the header or from the query', async () => {
    const { body } = await logIn(asUser('alice'))
    expect((await server.api().get(WHOAMI, { access_token: body.access_token as string })).status).toBe(200)
  })

  it('answers M_MISSING_TOKEN without one, and M_UNKNOWN_TOKEN to one that is not ours', async () => {
    expect(await server.api().get(WHOAMI)).toMatchObject({ status: 401, body: { errcode: 'M_MISSING_TOKEN' } })
    for (const token of ['nonsense', 'x'.repeat(3_000)]) {
      expect(await server.api(token).get(WHOAMI)).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
    }
  })
})

describe('client-server-api §POST /logout', () => {
  it('removes the token and its device, and no other', async () => {
    const stays = await server.login('bob')
    const goes = await server.login('bob')
    expect(await goes.api.post('/_matrix/client/v3/logout')).toMatchObject({ status: 200, body: {} })
    expect(await goes.api.get(WHOAMI)).toMatchObject({
      status: 401,
      body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false },
    })
    expect((await stays.api.get(`/_matrix/client/v3/devices/${goes.deviceId}`)).status).toBe(404)
    expect((await stays.api.get(WHOAMI)).status).toBe(200)
  })

  it('removes all devices with /logout/all', async () => {
    const one = await server.login('bob')
    const other = await server.login('bob')
    expect((await one.api.post('/_matrix/client/v3/logout/all')).status).toBe(200)
    expect((await one.api.get(WHOAMI)).status).toBe(401)
    expect((await other.api.get(WHOAMI)).status).toBe(401)
    const next = await server.login('bob')
    const { body } = await next.api.get<{ devices: { device_id: string }[] }>('/_matrix/client/v3/devices')
    expect(body.devices.map((device) => device.device_id)).toEqual([next.deviceId])
  })

  it('signs browsers out of the account page, too', async () => {
    const browser = formBrowser(server.baseUrl)
    await browser.get('/account')
    const form = { username: 'bob', password: 'password of bob' }
    expect((await browser.submit('/oauth/login', form)).text).toContain('@bob:hearth.test')
    const device = await server.login('bob')
    expect((await device.api.post('/_matrix/client/v3/logout')).status).toBe(200)
    expect((await browser.get('/account')).title).toContain('Profile')
    const other = await server.login('bob')
    expect((await other.api.post('/_matrix/client/v3/logout/all')).status).toBe(200)
    expect((await browser.get('/account')).title).toContain('Sign in')
  })
})
