import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PASSWORD = '/_matrix/client/v3/account/password'
const WHOAMI = '/_matrix/client/v3/account/whoami'
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const proof = (user: string, password = `password of ${user}`) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password,
})
const logIn = (user: string, password: string) => server.api().post('/_matrix/client/v3/login', proof(user, password))

describe('client-server-api §POST /account/password', () => {
  it('changes the password, and by default removes the other devices', async () => {
    const ann = await server.register('ann')
    const other = await server.login('ann')
    const call = { new_password: 'a better one', auth: proof('ann') }
    expect(await ann.api.post(PASSWORD, call)).toMatchObject({ status: 200, body: {} })
    expect((await ann.api.get(WHOAMI)).status).toBe(200)
    expect((await other.api.get(WHOAMI)).status).toBe(401)
    expect((await logIn('ann', 'password of ann')).status).toBe(403)
    expect((await logIn('ann', 'a better one')).status).toBe(200)
  })

  it('leaves the other devices with logout_devices false', async () => {
    const ben = await server.register('ben')
    const other = await server.login('ben')
    await ben.api.post(PASSWORD, { new_password: 'a better one', logout_devices: false, auth: proof('ben') })
    expect((await other.api.get(WHOAMI)).status).toBe(200)
  })

  it('works without a token for whoever knows the old password, and then removes all devices', async () => {
    const cid = await server.register('cid')
    const { status, body } = await server.api().post(PASSWORD, { new_password: 'a better one' })
    expect(status).toBe(401)
    const auth = { ...proof('cid'), session: body.session }
    expect((await server.api().post(PASSWORD, { new_password: 'a better one', auth })).status).toBe(200)
    expect((await cid.api.get(WHOAMI)).status).toBe(401)
    expect((await logIn('cid', 'a better one')).status).toBe(200)
  })

  it('changes nothing without the right password', async () => {
    const dan = await server.register('dan')
    for (const auth of [undefined, { type: 'm.login.dummy' }, proof('dan', 'wrong')]) {
      expect((await dan.api.post(PASSWORD, { new_password: 'a better one', auth })).status).toBe(401)
    }
    expect((await logIn('dan', 'password of dan')).status).toBe(200)
  })

  it('refuses a weak password before asking for the old one', async () => {
    const eve = await server.register('eve')
    expect(await eve.api.post(PASSWORD, { new_password: 'short' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_WEAK_PASSWORD' },
    })
    expect(await eve.api.post(PASSWORD, {})).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    expect(await server.api('wrong').post(PASSWORD, { new_password: 'long enough' })).toMatchObject({
      status: 401,
      body: { errcode: 'M_UNKNOWN_TOKEN' },
    })
  })
})
