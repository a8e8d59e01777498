import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../../support/admin.ts'
import { keptStore } from '../../support/kept-store.ts'
import { manualClock } from '../../support/manual-clock.ts'
import {
  discover,
  logInWithOAuth,
  type Metadata,
  postForm,
  refresh,
  registerClient,
  webClient,
} from '../../support/oauth-client.ts'
import { startTestServer, type TestServer } from '../../support/test-server.ts'

const WHOAMI = '/_matrix/client/v3/account/whoami'
const clock = manualClock()
let server: TestServer
let metadata: Metadata
beforeAll(async () => {
  server = await startTestServer({ clock })
  await server.register('alice')
  metadata = await discover(server.baseUrl)
})
afterAll(() => server[Symbol.asyncDispose]())

const logIn = () => logInWithOAuth(server.baseUrl, 'alice')
const statusOf = async (token: string, on = server) => (await on.api(token).get(WHOAMI)).status
const invalidGrant = { status: 400, body: { error: 'invalid_grant' } }

describe('client-server-api §Refresh token grant', () => {
  it('gives new tokens of the same session, with the same scope', async () => {
    const session = await logIn()
    const { status, body } = await refresh(metadata, session.clientId, session.refresh_token)
    expect(status).toBe(200)
    expect(body.scope).toBe(session.scope)
    expect(body.access_token).not.toBe(session.access_token)
    expect(body.refresh_token).not.toBe(session.refresh_token)
    expect((await server.api(body.access_token).get(WHOAMI)).body.device_id).toBe(session.deviceId)
    // The old ones end with the first use of the new.
    expect(await server.api(session.access_token).get(WHOAMI)).toMatchObject({
      status: 401,
      body: { soft_logout: true },
    })
  })

  it('refreshes an access token that has expired', async () => {
    const session = await logIn()
    clock.advance(session.expires_in * 1000)
    expect(await server.api(session.access_token).get(WHOAMI)).toMatchObject({
      status: 401,
      body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: true },
    })
    const { body } = await refresh(metadata, session.clientId, session.refresh_token)
    expect(await statusOf(body.access_token)).toBe(200)
  })

  it('lets a client whose answer was lost ask again, until one of the new tokens is used', async () => {
    const session = await logIn()
    await refresh(metadata, session.clientId, session.refresh_token)
    const second = await refresh(metadata, session.clientId, session.refresh_token)
    expect(second.status).toBe(200)
    const third = await refresh(metadata, session.clientId, second.body.refresh_token)
    expect(third.status).toBe(200)
    expect(await statusOf(third.body.access_token)).toBe(200)
  })

  it('ends the session when a refresh token is replayed that was replaced', async () => {
    const session = await logIn()
    const { body } = await refresh(metadata, session.clientId, session.refresh_token)
    expect(await statusOf(body.access_token)).toBe(200)
    expect(await refresh(metadata, session.clientId, session.refresh_token)).toMatchObject(invalidGrant)
    expect(await statusOf(body.access_token)).toBe(401)
    expect(await refresh(metadata, session.clientId, body.refresh_token)).toMatchObject(invalidGrant)
  })

  it('refuses the refresh token of another client, and leaves the session alone', async () => {
    const session = await logIn()
    const other = await registerClient(metadata, { ...webClient, client_name: 'Other' })
    expect(await refresh(metadata, other.body.client_id, session.refresh_token)).toMatchObject(invalidGrant)
    expect(await statusOf(session.access_token)).toBe(200)
    expect((await refresh(metadata, session.clientId, session.refresh_token)).status).toBe(200)
  })

  it('keeps the two APIs apart: neither refreshes the tokens of the other', async () => {
    const session = await logIn()
    const legacy = await server.api().post('/_matrix/client/v3/refresh', { refresh_token: session.refresh_token })
    expect(legacy).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
    const { body } = await server.api().post<{ refresh_token: string }>('/_matrix/client/v3/login', {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'password of alice',
      refresh_token: true,
    })
    expect(await refresh(metadata, session.clientId, body.refresh_token)).toMatchObject(invalidGrant)
  })

  it('lets a locked user keep the session, which opens nothing until the lock is gone', async () => {
    const admin = await registerAdmin(server, 'root')
    await server.register('larry')
    const session = await logInWithOAuth(server.baseUrl, 'larry')
    const lock = (locked: boolean) => admin.api.put('/_matrix/client/v1/admin/lock/@larry:hearth.test', { locked })
    await lock(true)
    const { status, body } = await refresh(metadata, session.clientId, session.refresh_token)
    expect(status).toBe(200)
    expect(await server.api(body.access_token).get(WHOAMI)).toMatchObject({ body: { errcode: 'M_USER_LOCKED' } })
    await lock(false)
    expect(await statusOf(body.access_token)).toBe(200)
  })
})

describe('client-server-api §Token revocation', () => {
  it.each(['access_token', 'refresh_token'] as const)('ends the whole session with its %s', async (hint) => {
    const session = await logIn()
    const revoked = await postForm(metadata.revocation_endpoint, {
      token: session[hint],
      token_type_hint: hint,
      client_id: session.clientId,
    })
    expect(revoked.status).toBe(200)
    expect(await statusOf(session.access_token)).toBe(401)
    expect(await refresh(metadata, session.clientId, session.refresh_token)).toMatchObject(invalidGrant)
    const { body } = await server.api((await server.login('alice')).accessToken).get('/_matrix/client/v3/devices')
    expect(JSON.stringify(body)).not.toContain(session.deviceId)
  })

  it.each<Record<string, string>>([{}, { client_id: 'another' }])(
    'revokes a leaked token for whoever found it: %j',
    async (who) => {
      const session = await logIn()
      const token = session.refresh_token
      expect((await postForm(metadata.revocation_endpoint, { token, ...who })).status).toBe(200)
      expect(await statusOf(session.access_token)).toBe(401)
    },
  )

  it('answers 200 for tokens that are gone or never were, and 400 for none', async () => {
    expect((await postForm(metadata.revocation_endpoint, { token: 'hat_nothing' })).status).toBe(200)
    expect(await postForm(metadata.revocation_endpoint, {})).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    })
  })
})

describe('what a session survives', () => {
  it('a restart: tokens, the client and a refresh whose answer was lost', async () => {
    const openStore = keptStore()
    let refreshToken: string
    let clientId: string
    {
      await using first = await startTestServer({ openStore })
      await first.register('alice')
      const session = await logInWithOAuth(first.baseUrl, 'alice')
      await refresh(await discover(first.baseUrl), session.clientId, session.refresh_token)
      refreshToken = session.refresh_token
      clientId = session.clientId
    }
    await using second = await startTestServer({ openStore })
    const again = await discover(second.baseUrl)
    expect((await registerClient(again)).body.client_id).toBe(clientId)
    const { status, body } = await refresh(again, clientId, refreshToken)
    expect(status).toBe(200)
    expect(await statusOf(body.access_token, second)).toBe(200)
  })
})
