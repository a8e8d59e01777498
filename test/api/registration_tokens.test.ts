import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { formBrowser } from '../support/form-browser.ts'
import { keptStore } from '../support/kept-store.ts'
import { manualClock } from '../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const REGISTER = '/_matrix/client/v3/register'
const AVAILABLE = '/_matrix/client/v3/register/available'
const VALIDITY = '/_matrix/client/v1/register/m.login.registration_token/validity'
const TOKENS = '/_hearth/client/v1/registration_tokens'
const STAGE = 'm.login.registration_token'
const password = 'correct horse battery'
const closed = { registration: { shared_secret: 'for tests only' } }
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }

interface Token {
  readonly token: string
  readonly url: string
  readonly uses: number
  readonly valid: boolean
}

const clock = manualClock()
let server: TestServer
let root: Person
beforeAll(async () => {
  server = await startTestServer({ config: closed, clock })
  root = await registerAdmin(server, 'root')
})
afterAll(() => server[Symbol.asyncDispose]())

const newToken = async (wish: object = {}): Promise<Token> => (await root.api.post<Token & object>(TOKENS, wish)).body
const join = (username: string, token: unknown, more: object = {}) =>
  server.api().post(REGISTER, { username, password, ...more, auth: { type: STAGE, token } })
const isValid = async (token: string) => (await server.api().get(VALIDITY, { token })).body
const listed = async (token: string): Promise<Token | undefined> => {
  const { body } = await root.api.get<{ registration_tokens: Token[] }>(TOKENS)
  return body.registration_tokens.find((one) => one.token === token)
}

describe('client-server-api §Token-authenticated registration', () => {
  it('leaves registration closed as long as nobody is invited', async () => {
    await using empty = await startTestServer({ config: closed })
    expect(await empty.api().post(REGISTER, { username: 'eve', password })).toMatchObject(forbidden)
    expect(await empty.api().get(AVAILABLE, { username: 'eve' })).toMatchObject(forbidden)
    expect(await empty.api().get(VALIDITY, { token: 'ABCD' })).toMatchObject(forbidden)
    expect((await empty.api().get('/_hearth/client/v1/home')).body).toMatchObject({ registration: 'closed' })
    const auth = { type: STAGE, token: 'ABCD-EFGH-JKLM-NPQR' }
    expect(await empty.api().post(REGISTER, { username: 'eve', password, auth })).toMatchObject(forbidden)
  })

  it('asks for a token, and makes one account with it', async () => {
    const { token } = await newToken({ note: 'Grandma' })
    expect(token).toMatch(/^[0-9A-Za-z._~-]{1,64}$/)
    expect(await isValid(token)).toEqual({ valid: true })
    expect((await server.api().get('/_hearth/client/v1/home')).body).toMatchObject({ registration: 'token' })
    const first = await server.api().post(REGISTER, { username: 'grandma', password })
    expect(first).toMatchObject({ status: 401, body: { flows: [{ stages: [STAGE] }] } })

    const call = { username: 'grandma', password, auth: { type: STAGE, token, session: first.body.session } }
    const made = await server.api().post(REGISTER, call)
    expect(made).toMatchObject({ status: 200, body: { user_id: '@grandma:hearth.test' } })
    expect(await server.api().post(REGISTER, call), 'the client lost the answer').toEqual(made)
    expect(await listed(token)).toMatchObject({ uses: 1, valid: false, note: 'Grandma', created_by: root.userId })

    const spare = await newToken()
    expect(await isValid(token)).toEqual({ valid: false })
    expect(await join('grandpa', token)).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN' } })
    expect((await join('grandpa', spare.token)).status).toBe(200)
  })

  it('takes a token as people type it', async () => {
    const { token } = await newToken()
    expect((await join('typist', ` ${token.toLowerCase().replaceAll('-', ' ')}`)).status).toBe(200)
  })

  it('makes as many accounts as a token allows, also when all come at once', async () => {
    const { token } = await newToken({ uses_allowed: 2 })
    const replies = await Promise.all(['one', 'two', 'three'].map((name) => join(name, token)))
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 200, 403])
    expect(await listed(token)).toMatchObject({ uses: 2, uses_allowed: 2, valid: false })
  })

  it('uses nothing up where no account is made', async () => {
    const { token } = await newToken()
    expect(await join('weakling', token, { password: 'short' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_WEAK_PASSWORD' },
    })
    expect(await join('root', token)).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } })
    expect(await listed(token)).toMatchObject({ uses: 0, valid: true })
  })

  it.each([undefined, 5, '', 'ABCD-EFGH-JKLM-NPQR', 'x'.repeat(100)])('refuses %j as a token', async (token) => {
    await newToken()
    expect(await join('nobody', token)).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('lets no token serve for anything but registration', async () => {
    const { token } = await newToken()
    const auth = { type: STAGE, token }
    expect(await root.api.post('/_matrix/client/v3/delete_devices', { devices: [], auth })).toMatchObject({
      status: 401,
    })
  })

  it('lets tokens expire, and forgets them a month later', async () => {
    const { token } = await newToken({ lifetime_ms: 60_000 })
    const { token: week } = await newToken()
    clock.advance(60_000)
    expect(await isValid(token)).toEqual({ valid: false })
    expect(await isValid(week)).toEqual({ valid: true })
    clock.advance(7 * 24 * 60 * 60_000)
    expect(await join('late', week)).toMatchObject(forbidden)
    expect(await listed(week)).toMatchObject({ valid: false })
    clock.advance(31 * 24 * 60 * 60_000)
    await newToken()
    expect(await listed(week)).toBeUndefined()
  })

  it('makes no account with a token that is taken back, also during a registration', async () => {
    const { token } = await newToken()
    await newToken()
    expect((await root.api.delete(`${TOKENS}/${token}`)).status).toBe(200)
    expect(await isValid(token)).toEqual({ valid: false })
    expect(await root.api.delete(`${TOKENS}/${token}`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect((await join('late', token)).status).toBe(401)
  })

  it('leaves tokens to administrators', async () => {
    const { token } = await newToken({ uses_allowed: 2 })
    const { body } = await join('citizen', token)
    const citizen = server.api(body.access_token as string)
    for (const reply of [
      await citizen.post(TOKENS, {}),
      await citizen.get(TOKENS),
      await citizen.delete(`${TOKENS}/${token}`),
    ]) {
      expect(reply).toMatchObject(forbidden)
    }
    expect(await server.api().get(TOKENS)).toMatchObject({ status: 401 })
    expect(await isValid(token)).toEqual({ valid: true })
  })

  it.each([{ uses_allowed: 0 }, { uses_allowed: 1.5 }, { lifetime_ms: -1 }, { note: 'x'.repeat(201) }])(
    'refuses to make one with %j',
    async (wish) => {
      expect(await root.api.post(TOKENS, wish)).toMatchObject({ status: 400 })
    },
  )

  it('keeps tokens and their uses over a restart', async () => {
    const openStore = keptStore()
    let token: string
    {
      await using one = await startTestServer({ config: closed, openStore })
      const admin = await registerAdmin(one, 'root')
      token = (await admin.api.post<{ token: string }>(TOKENS, { uses_allowed: 2 })).body.token
      const auth = { type: STAGE, token }
      expect((await one.api().post(REGISTER, { username: 'ann', password, auth })).status).toBe(200)
    }
    {
      await using two = await startTestServer({ config: closed, openStore })
      const auth = { type: STAGE, token }
      expect((await two.api().post(REGISTER, { username: 'bob', password, auth })).status).toBe(200)
      expect((await two.api().post(REGISTER, { username: 'cem', password, auth })).status).toBe(403)
    }
  })
})

describe('the link of an invitation', () => {
  it('leads to a page where an account can be made with it', async () => {
    const { token, url } = await newToken()
    expect(url).toContain(`${server.baseUrl}/oauth/new-account?token=`)
    const browser = formBrowser(server.baseUrl)
    const page = await browser.get(url)
    expect(page.html).toContain(`value="${token}"`)
    const wrong = await browser.submit('/oauth/new-account', { username: 'linked', password, token: 'WRONG' })
    expect(wrong).toMatchObject({ status: 403, text: expect.stringContaining('Ask for a new one') })
    const done = await browser.submit('/oauth/new-account', { username: 'linked', password, token })
    expect(done.text).toContain('@linked:hearth.test')
    expect(await listed(token)).toMatchObject({ uses: 1 })
  })
})
