import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const REGISTER = '/_matrix/client/v3/register'
const AVAILABLE = '/_matrix/client/v3/register/available'
const dummy = { type: 'm.login.dummy' }
const password = 'correct horse battery'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §POST /register', () => {
  it('asks for the dummy stage, then makes the account, its device and a token that works', async () => {
    const wish = { username: 'ada', password, device_id: 'ADASPHONE', initial_device_display_name: "Ada's phone" }
    const first = await server.api().post(REGISTER, wish)
    expect(first.status).toBe(401)
    expect(first.body).toEqual({ flows: [{ stages: ['m.login.dummy'] }], params: {}, session: expect.any(String) })

    const made = await server.api().post(REGISTER, { ...wish, auth: { ...dummy, session: first.body.session } })
    expect(made.status).toBe(200)
    expect(made.body).toEqual({
      user_id: '@ada:hearth.test',
      access_token: expect.any(String),
      device_id: 'ADASPHONE',
      home_server: 'hearth.test',
    })
    const ada = server.api(made.body.access_token as string)
    expect((await ada.get('/_matrix/client/v3/account/whoami')).body).toEqual({
      user_id: '@ada:hearth.test',
      device_id: 'ADASPHONE',
      is_guest: false,
    })
    expect((await ada.get('/_matrix/client/v3/devices/ADASPHONE')).body).toMatchObject({ display_name: "Ada's phone" })
  })

  it('gives the same answer to a request that is made again with the session it completed', async () => {
    const wish = { username: 'again', password }
    const { body } = await server.api().post(REGISTER, wish)
    const call = { ...wish, auth: { ...dummy, session: body.session } }
    const [one, other] = await Promise.all([server.api().post(REGISTER, call), server.api().post(REGISTER, call)])
    expect(one.status).toBe(200)
    expect(other).toMatchObject({ status: 200, body: one.body })
  })

  it('makes up a name and a device ID where the client names none', async () => {
    const { status, body } = await server.api().post(REGISTER, { password, auth: dummy })
    expect(status).toBe(200)
    expect(body.user_id).toMatch(/^@[a-z0-9._=/+-]+:hearth\.test$/)
    expect(body.device_id).toMatch(/^[A-Z0-9]+$/)
  })

  it('gives no token and makes no device with inhibit_login', async () => {
    const { status, body } = await server
      .api()
      .post(REGISTER, { username: 'quiet', password, inhibit_login: true, auth: dummy })
    expect(status).toBe(200)
    expect(body).toEqual({ user_id: '@quiet:hearth.test' })
  })

  it('gives tokens that expire to clients that can refresh', async () => {
    const { body } = await server
      .api()
      .post(REGISTER, { username: 'fresh', password, refresh_token: true, auth: dummy })
    expect(body).toMatchObject({ refresh_token: expect.any(String), expires_in_ms: expect.any(Number) })
  })

  it('turns capitals in the username into small letters', async () => {
    const { body } = await server.api().post(REGISTER, { username: 'GraceHopper', password, auth: dummy })
    expect(body.user_id).toBe('@gracehopper:hearth.test')
  })

  it.each(['a.b', 'a_b', 'a=b', 'a-b', 'a/b', 'a+b', '007'])('takes the username %s', async (username) => {
    expect(await server.api().post(REGISTER, { username, password, auth: dummy })).toMatchObject({
      status: 200,
      body: { user_id: `@${username}:hearth.test` },
    })
  })

  it.each(['', 'a b', 'ä', 'a:b', '@ada:hearth.test', 'a\u0000', 'a!', '_bridge', 'x'.repeat(250)])(
    'refuses the username %j with M_INVALID_USERNAME before any authentication',
    async (username) => {
      expect(await server.api().post(REGISTER, { username, password })).toMatchObject({
        status: 400,
        body: { errcode: 'M_INVALID_USERNAME' },
      })
    },
  )

  it('says M_USER_IN_USE before any authentication', async () => {
    await server.register('taken')
    expect(await server.api().post(REGISTER, { username: 'Taken', password })).toMatchObject({
      status: 400,
      body: { errcode: 'M_USER_IN_USE' },
    })
  })

  it('gives a name only once to two who ask at the same time', async () => {
    const call = () => server.api().post(REGISTER, { username: 'contested', password, auth: dummy })
    const replies = await Promise.all([call(), call(), call()])
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 400, 400])
    const refused = replies.filter((reply) => reply.status === 400)
    expect(refused.map((reply) => reply.body.errcode)).toEqual(['M_USER_IN_USE', 'M_USER_IN_USE'])
  })

  it.each([
    ['M_WEAK_PASSWORD', { username: 'weak', password: 'short' }],
    ['M_INVALID_PARAM', { username: 'weak', password: 'x'.repeat(513) }],
    ['M_MISSING_PARAM', { username: 'weak' }],
    ['M_INVALID_PARAM', { username: 'weak', password, device_id: '' }],
    ['M_INVALID_PARAM', { username: 'weak', password, initial_device_display_name: 'x'.repeat(257) }],
    ['M_BAD_JSON', { username: 5, password }],
    ['M_BAD_JSON', { username: 'weak', password, auth: 'm.login.dummy' }],
  ])('answers %s to %j, and makes nothing', async (errcode, wish) => {
    const { status, body } = await server.api().post(REGISTER, { auth: dummy, ...wish })
    expect({ status, errcode: body.errcode }).toEqual({ status: 400, errcode })
    expect((await server.api().get(AVAILABLE, { username: 'weak' })).body).toEqual({ available: true })
  })

  it('refuses guests with M_GUEST_ACCESS_FORBIDDEN, and unknown kinds', async () => {
    expect(await server.api().post(`${REGISTER}?kind=guest`, {})).toMatchObject({
      status: 403,
      body: { errcode: 'M_GUEST_ACCESS_FORBIDDEN' },
    })
    expect(await server.api().post(`${REGISTER}?kind=king`, {})).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })

  it('is closed where the configuration does not open it', async () => {
    await using closed = await startTestServer({ config: { registration: {} } })
    const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await closed.api().post(REGISTER, { username: 'eve', password, auth: dummy })).toMatchObject(forbidden)
    expect(await closed.api().get(AVAILABLE, { username: 'eve' })).toMatchObject(forbidden)
  })
})

describe('client-server-api §GET /register/available', () => {
  it('tells free, taken and impossible names apart', async () => {
    await server.register('here')
    const ask = (username: string) => server.api().get(AVAILABLE, { username })
    expect(await ask('nobody-yet')).toMatchObject({ status: 200, body: { available: true } })
    expect(await ask('here')).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } })
    expect(await ask('no spaces')).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_USERNAME' } })
    expect(await server.api().get(AVAILABLE)).toMatchObject({ status: 400, body: { errcode: 'M_MISSING_PARAM' } })
  })
})
