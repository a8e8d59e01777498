import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { logInWithOAuth } from '../support/oauth-client.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const GET_TOKEN = '/_matrix/client/v1/login/get_token'
const LOGIN = '/_matrix/client/v3/login'
const auth = {
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: 'alice' },
  password: 'password of alice',
}
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

const clock = manualClock()
let server: TestServer
let alice: Person
beforeAll(async () => {
  server = await startTestServer({ clock })
  alice = await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

const newToken = async () => String((await alice.api.post(GET_TOKEN, { auth })).body.login_token)
const logIn = (token: string) => server.api().post(LOGIN, { type: 'm.login.token', token })

describe('client-server-api §POST /login/get_token', () => {
  it('asks for the password each time, and gives a token that logs another client in, once', async () => {
    const asked = await alice.api.post(GET_TOKEN, {})
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
    const given = await alice.api.post(GET_TOKEN, { auth: { ...auth, session: asked.body.session } })
    expect(given).toMatchObject({ status: 200, body: { login_token: expect.any(String), expires_in_ms: 120_000 } })
    expect((await alice.api.post(GET_TOKEN, {})).status).toBe(401)
    const token = String(given.body.login_token)
    expect(await logIn(token)).toMatchObject({ status: 200, body: { user_id: alice.userId } })
    expect(await logIn(token)).toMatchObject(forbidden)
  })

  it('gives tokens that are good for two minutes', async () => {
    const [one, other] = [await newToken(), await newToken()]
    clock.advance(119_000)
    expect((await logIn(one)).status).toBe(200)
    clock.advance(1_000)
    expect(await logIn(other)).toMatchObject(forbidden)
  })

  it('is not for sessions of OAuth clients, which can use device codes', async () => {
    const { access_token } = await logInWithOAuth(server.baseUrl, 'alice')
    expect(await server.api(access_token).post(GET_TOKEN, { auth })).toMatchObject(forbidden)
    const { body } = await server.api(access_token).get('/_matrix/client/v3/capabilities')
    expect(body).toMatchObject({ capabilities: { 'm.get_login_token': { enabled: false } } })
  })
})
