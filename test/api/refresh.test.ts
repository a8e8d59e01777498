import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { manualClock } from '../support/manual-clock.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const WHOAMI = '/_matrix/client/v3/account/whoami'
const clock = manualClock()
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ clock })
  await server.register('alice')
})
afterAll(() => server[Symbol.asyncDispose]())

interface Pair {
  access_token: string
  refresh_token: string
  expires_in_ms: number
}

async function logIn(on: TestServer = server): Promise<Pair> {
  const { body } = await on.api().post('/_matrix/client/v3/login', {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: 'password of alice',
    refresh_token: true,
  })
  return body as unknown as Pair
}
const refresh = (token: string, on: TestServer = server) =>
  on
    .api()
    .post<Pair & { errcode?: string; soft_logout?: boolean }>('/_matrix/client/v3/refresh', { refresh_token: token })
const whoami = (token: string, on: TestServer = server) => on.api(token).get(WHOAMI)
const softLogout = { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: true } }

describe('client-server-api §Refreshing access tokens', () => {
  it('gives new tokens of the same device', async () => {
    const old = await logIn()
    const before = await whoami(old.access_token)
    const { status, body } = await refresh(old.refresh_token)
    expect(status).toBe(200)
    expect(body.access_token).not.toBe(old.access_token)
    expect(body.refresh_token).not.toBe(old.refresh_token)
    expect(body.expires_in_ms).toBeGreaterThan(0)
    expect((await whoami(body.access_token)).body).toEqual(before.body)
  })

  it('answers an expired access token with a soft logout, and refreshes it', async () => {
    const old = await logIn()
    expect((await whoami(old.access_token)).status).toBe(200)
    clock.advance(old.expires_in_ms)
    expect(await whoami(old.access_token)).toMatchObject(softLogout)
    const { body } = await refresh(old.refresh_token)
    expect((await whoami(body.access_token)).status).toBe(200)
  })

  it('keeps the old refresh token until one of the new tokens is used, so that a lost answer can be asked for again', async () => {
    const old = await logIn()
    const lost = await refresh(old.refresh_token)
    const got = await refresh(old.refresh_token)
    expect([lost.status, got.status]).toEqual([200, 200])
    expect((await whoami(got.body.access_token)).status).toBe(200)
    expect(await refresh(old.refresh_token)).toMatchObject(softLogout)
    expect(await whoami(old.access_token)).toMatchObject(softLogout)
    expect(await whoami(lost.body.access_token)).toMatchObject(softLogout)
  })

  it('revokes the old refresh token when the new refresh token is used', async () => {
    const old = await logIn()
    const second = await refresh(old.refresh_token)
    const third = await refresh(second.body.refresh_token)
    expect(third.status).toBe(200)
    expect(await refresh(old.refresh_token)).toMatchObject(softLogout)
    expect((await refresh(second.body.refresh_token)).status).toBe(200)
  })

  it('lets the old access token work until a new token is used', async () => {
    const old = await logIn()
    await refresh(old.refresh_token)
    expect((await whoami(old.access_token)).status).toBe(200)
  })

  it('leaves one line of tokens where two refresh at the same time', async () => {
    const old = await logIn()
    const [one, other] = await Promise.all([refresh(old.refresh_token), refresh(old.refresh_token)])
    expect([one.status, other.status]).toEqual([200, 200])
    const used = await Promise.all([whoami(one.body.access_token), whoami(other.body.access_token)])
    expect(used.map((reply) => reply.status).sort()).toEqual([200, 401])
  })

  it('gives up the oldest of many answers that nobody used', async () => {
    const old = await logIn()
    const answers: Pair[] = []
    for (let i = 0; i < 6; i += 1) {
      answers.push((await refresh(old.refresh_token)).body)
      clock.advance(1)
    }
    expect((await refresh(answers[0]?.refresh_token ?? '')).status).toBe(401)
    expect((await refresh(answers[5]?.refresh_token ?? '')).status).toBe(200)
  })

  it('answers M_UNKNOWN_TOKEN to what is no refresh token, or not one any more', async () => {
    const { access_token, refresh_token } = await logIn()
    const unknown = { status: 401, body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: false } }
    expect(await refresh('nonsense')).toMatchObject(unknown)
    expect(await refresh(access_token)).toMatchObject(unknown)
    expect(await whoami(refresh_token)).toMatchObject(unknown)
    await server.api(access_token).post('/_matrix/client/v3/logout')
    expect(await refresh(refresh_token)).toMatchObject(unknown)
  })

  it('keeps tokens, devices and what is pending over a restart', async () => {
    const openStore = keptStore()
    const first = await startTestServer({ openStore, clock })
    const alice = await first.register('alice')
    const old = await logIn(first)
    const fresh = await refresh(old.refresh_token, first)
    await first[Symbol.asyncDispose]()

    await using second = await startTestServer({ openStore, clock })
    expect((await whoami(alice.accessToken, second)).body).toMatchObject({ device_id: alice.deviceId })
    expect((await whoami(old.access_token, second)).status).toBe(200)
    expect((await whoami(fresh.body.access_token, second)).status).toBe(200)
    expect(await refresh(old.refresh_token, second)).toMatchObject(softLogout)
  })
})
