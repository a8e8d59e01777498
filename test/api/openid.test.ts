import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { manualClock } from '../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const USERINFO = '/_matrix/federation/v1/openid/userinfo'
const pathOf = (userId: string) => `/_matrix/client/v3/user/${encodeURIComponent(userId)}/openid/request_token`
const unknown = { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } }

const clock = manualClock()
let server: TestServer
let alice: Person
beforeAll(async () => {
  server = await startTestServer({ clock })
  alice = await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

const newToken = async (person: Person) => String((await person.api.post(pathOf(person.userId), {})).body.access_token)
const exchange = (access_token: string) => server.api().get(USERINFO, { access_token })

describe('client-server-api §OpenID', () => {
  it('gives a token with which others learn who the user is', async () => {
    const { status, body } = await alice.api.post(pathOf(alice.userId), {})
    expect(status).toBe(200)
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      matrix_server_name: 'hearth.test',
      expires_in: 3600,
    })
    expect(await exchange(String(body.access_token))).toMatchObject({ status: 200, body: { sub: alice.userId } })
  })

  it('opens nothing else', async () => {
    const token = await newToken(alice)
    expect(await server.api(token).get('/_matrix/client/v3/account/whoami')).toMatchObject(unknown)
    expect(await server.api(token).post(pathOf(alice.userId), {})).toMatchObject(unknown)
    expect(await exchange(alice.accessToken)).toMatchObject(unknown)
  })

  it('expires after an hour', async () => {
    const token = await newToken(alice)
    clock.advance(3_599_000)
    expect((await exchange(token)).status).toBe(200)
    clock.advance(1_000)
    expect(await exchange(token)).toMatchObject(unknown)
  })

  it('is of no use once the account is locked or gone', async () => {
    const root = await registerAdmin(server, 'root')
    const bob = await server.register('bob')
    const token = await newToken(bob)
    const lock = `/_matrix/client/v1/admin/lock/${encodeURIComponent(bob.userId)}`
    await root.api.put(lock, { locked: true })
    expect(await exchange(token)).toMatchObject(unknown)
    await root.api.put(lock, { locked: false })
    expect((await exchange(token)).status).toBe(200)
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'bob' },
      password: 'password of bob',
    }
    await bob.api.post('/_matrix/client/v3/account/deactivate', { auth })
    expect(await exchange(token)).toMatchObject(unknown)
  })

  it('is given to the user alone', async () => {
    const eve = await server.register('eve')
    expect(await eve.api.post(pathOf(alice.userId), {})).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
    expect(await server.api().post(pathOf(alice.userId), {})).toMatchObject({ status: 401 })
    expect(await exchange('nonsense')).toMatchObject(unknown)
    expect((await server.api().get(USERINFO)).status).toBe(400)
  })

  it('keeps the newest fifty of a user', async () => {
    const first = await newToken(alice)
    for (let i = 0; i < 49; i += 1) {
      clock.advance(1)
      await newToken(alice)
    }
    expect((await exchange(first)).status).toBe(200)
    clock.advance(1)
    await newToken(alice)
    expect(await exchange(first)).toMatchObject(unknown)
  })
})

describe('client-server-api §Voice over IP', () => {
  it('names no relay as long as there is none', async () => {
    const path = '/_matrix/client/v3/voip/turnServer'
    expect(await alice.api.get(path)).toMatchObject({
      status: 200,
      body: { username: '', password: '', uris: [], ttl: expect.any(Number) },
    })
    expect((await server.api().get(path)).status).toBe(401)
  })
})
