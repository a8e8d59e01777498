import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PATH = '/_synapse/admin/v1/register'
const clock = manualClock()
let server: TestServer
beforeAll(async () => {
  const registration = { open: false, shared_secret: 'porridge' }
  server = await startTestServer({ clock, config: { registration } })
})
afterAll(() => server[Symbol.asyncDispose]())

interface Wish {
  nonce: string
  username: string
  password: string
  admin?: boolean
}

function signed({ nonce, username, password, admin }: Wish, secret = 'porridge') {
  const text = [nonce, username, password, admin ? 'admin' : 'notadmin'].join('\0')
  const mac = createHmac('sha1', secret).update(text).digest('hex')
  return { nonce, username, password, ...(admin === undefined ? {} : { admin }), mac }
}

async function nonce(): Promise<string> {
  const { body } = await server.api().get(PATH)
  return body.nonce as string
}

describe('interop/server-process §Registration by shared secret', () => {
  it('makes an account although registration is closed, and answers as /register does', async () => {
    const wish = { nonce: await nonce(), username: 'Bob', password: 'pw', admin: false }
    const { status, body } = await server.api().post(PATH, signed(wish))
    expect(status).toBe(200)
    expect(body).toEqual({
      user_id: '@bob:hearth.test',
      access_token: expect.any(String),
      device_id: expect.any(String),
      home_server: 'hearth.test',
    })
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'bob' }, password: 'pw' }
    expect((await server.api().post('/_matrix/client/v3/login', login)).status).toBe(200)
  })

  it('makes administrators, and only where that was signed', async () => {
    const admin = await server
      .api()
      .post(PATH, signed({ nonce: await nonce(), username: 'root', password: 'pw', admin: true }))
    const plain = await server.api().post(PATH, signed({ nonce: await nonce(), username: 'carl', password: 'pw' }))
    const whois = (token: unknown, whom: string) =>
      server.api(token as string).get(`/_matrix/client/v3/admin/whois/${encodeURIComponent(whom)}`)
    expect((await whois(admin.body.access_token, '@carl:hearth.test')).status).toBe(200)
    expect((await whois(plain.body.access_token, '@root:hearth.test')).status).toBe(403)

    const forged = { ...signed({ nonce: await nonce(), username: 'eve', password: 'pw', admin: false }), admin: true }
    expect(await server.api().post(PATH, forged)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('refuses a mac of another secret', async () => {
    const wish = { nonce: await nonce(), username: 'eve', password: 'pw' }
    expect(await server.api().post(PATH, signed(wish, 'gruel'))).toMatchObject({ status: 403 })
  })

  it('takes a nonce once, for 60 s, and only its own', async () => {
    const used = await nonce()
    expect((await server.api().post(PATH, signed({ nonce: used, username: 'u1', password: 'pw' }))).status).toBe(200)
    const old = await nonce()
    const late = await nonce()
    clock.advance(59_000)
    expect((await server.api().post(PATH, signed({ nonce: late, username: 'u2', password: 'pw' }))).status).toBe(200)
    clock.advance(2_000)
    for (const bad of [used, old, 'made-up-nonce', '']) {
      expect(await server.api().post(PATH, signed({ nonce: bad, username: 'u3', password: 'pw' }))).toMatchObject({
        status: 400,
        body: { errcode: 'M_INVALID_PARAM' },
      })
    }
  })

  it('uses a nonce up where two try it at the same time', async () => {
    const one = await nonce()
    const replies = await Promise.all(
      ['x1', 'x2'].map((username) => server.api().post(PATH, signed({ nonce: one, username, password: 'pw' }))),
    )
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 400])
  })

  it('is not there without a secret', async () => {
    await using plain = await startTestServer({ config: { registration: { open: true } } })
    const missing = { status: 404, body: { errcode: 'M_UNRECOGNIZED' } }
    expect(await plain.api().get(PATH)).toMatchObject(missing)
    expect(await plain.api().post(PATH, {})).toMatchObject(missing)
  })
})
