import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerAdmin } from '../support/admin.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const WHOAMI = '/_matrix/client/v3/account/whoami'
const whois = (userId: string) => `/_matrix/client/v3/admin/whois/${encodeURIComponent(userId)}`
const lock = (userId: string) => `/_matrix/client/v1/admin/lock/${encodeURIComponent(userId)}`
const suspend = (userId: string) => `/_matrix/client/v1/admin/suspend/${encodeURIComponent(userId)}`
const forbidden = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
const locked = { status: 401, body: { errcode: 'M_USER_LOCKED', soft_logout: true } }

let server: TestServer
let root: Person
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer()
  root = await registerAdmin(server, 'root')
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('client-server-api §GET /admin/whois/{userId}', () => {
  it('tells users of themselves, administrators of all, and others nothing', async () => {
    await alice.api.fetch(WHOAMI, { headers: { 'user-agent': 'Lantern/1.0' } })
    const connections = [{ ip: '127.0.0.1', last_seen: expect.any(Number), user_agent: 'Lantern/1.0' }]
    expect((await root.api.get(whois(alice.userId))).body).toEqual({
      user_id: alice.userId,
      devices: { [alice.deviceId]: { sessions: [{ connections }] } },
    })
    expect((await alice.api.get(whois(alice.userId))).status).toBe(200)
    expect(await bob.api.get(whois(alice.userId))).toMatchObject(forbidden)
    expect(await bob.api.get(whois('@nobody:hearth.test'))).toMatchObject(forbidden)
    expect(await root.api.get(whois('@nobody:hearth.test'))).toMatchObject({ status: 404 })
  })
})

describe('client-server-api §Account locking', () => {
  it('leaves a locked user nothing but to log out, and gives the session back when it is lifted', async () => {
    const carl = await server.register('carl')
    expect((await root.api.get(lock(carl.userId))).body).toEqual({ locked: false })
    expect(await root.api.put(lock(carl.userId), { locked: true })).toMatchObject({
      status: 200,
      body: { locked: true },
    })
    expect((await root.api.get(lock(carl.userId))).body).toEqual({ locked: true })

    expect(await carl.api.get(WHOAMI)).toMatchObject(locked)
    expect(await carl.api.get('/_matrix/client/v3/devices')).toMatchObject(locked)
    await expect(server.login('carl')).rejects.toThrow('M_USER_LOCKED')

    await root.api.put(lock(carl.userId), { locked: false })
    expect((await carl.api.get(WHOAMI)).status).toBe(200)
    const other = await server.login('carl')

    await root.api.put(lock(carl.userId), { locked: true })
    expect(await carl.api.post('/_matrix/client/v3/logout')).toMatchObject({ status: 200 })
    expect(await carl.api.get(WHOAMI)).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
    expect(await other.api.post('/_matrix/client/v3/logout/all')).toMatchObject({ status: 200 })
  })

  it('keeps a locked user from refreshing and from changing the password', async () => {
    await server.register('cora')
    const identifier = { type: 'm.id.user', user: 'cora' }
    const proof = { type: 'm.login.password', identifier, password: 'password of cora' }
    const { body } = await server.api().post('/_matrix/client/v3/login', { ...proof, refresh_token: true })
    await root.api.put(lock('@cora:hearth.test'), { locked: true })
    const refreshed = await server.api().post('/_matrix/client/v3/refresh', { refresh_token: body.refresh_token })
    expect(refreshed).toMatchObject(locked)
    const change = { new_password: 'another one', auth: proof }
    expect(await server.api().post('/_matrix/client/v3/account/password', change)).toMatchObject(locked)
    await root.api.put(lock('@cora:hearth.test'), { locked: false })
    expect((await server.login('cora')).userId).toBe('@cora:hearth.test')
  })
})

describe('client-server-api §Account suspension', () => {
  it('lets a suspended user in, but not change the profile', async () => {
    const dora = await server.register('dora')
    const name = `/_matrix/client/v3/profile/${dora.userId}/displayname`
    expect(await root.api.put(suspend(dora.userId), { suspended: true })).toMatchObject({
      status: 200,
      body: { suspended: true },
    })
    expect((await root.api.get(suspend(dora.userId))).body).toEqual({ suspended: true })
    expect((await root.api.get(lock(dora.userId))).body).toEqual({ locked: false })
    expect((await dora.api.get(WHOAMI)).status).toBe(200)
    const refused = { status: 403, body: { errcode: 'M_USER_SUSPENDED' } }
    expect(await dora.api.put(name, { displayname: 'D' })).toMatchObject(refused)
    expect(await dora.api.delete(name)).toMatchObject(refused)
    expect((await server.login('dora')).userId).toBe(dora.userId)
    await root.api.put(suspend(dora.userId), { suspended: false })
    expect((await dora.api.put(name, { displayname: 'D' })).status).toBe(200)
  })
})

describe.each([
  ['lock', lock, { locked: true }],
  ['suspend', suspend, { suspended: true }],
])('client-server-api §PUT /admin/%s/{userId}', (_name, path, body) => {
  it('is for administrators only, who learn nothing otherwise of which users there are', async () => {
    for (const target of [alice.userId, '@nobody:hearth.test', '@x:elsewhere.test']) {
      expect(await bob.api.put(path(target), body)).toMatchObject(forbidden)
      expect(await bob.api.get(path(target))).toMatchObject(forbidden)
    }
  })

  it('is not for the own account, nor for other administrators', async () => {
    const other = await server.login('root2').catch(() => registerAdmin(server, 'root2'))
    expect(await root.api.put(path(root.userId), body)).toMatchObject(forbidden)
    expect(await root.api.put(path(other.userId), body)).toMatchObject(forbidden)
    expect(await root.api.get(path(other.userId))).toMatchObject(forbidden)
    expect((await other.api.get(WHOAMI)).status).toBe(200)
  })

  it('answers 400 for users of other servers, 404 for none, M_BAD_JSON for a body without the key', async () => {
    expect(await root.api.put(path('@x:elsewhere.test'), body)).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
    expect(await root.api.put(path('@nobody:hearth.test'), body)).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
    expect(await root.api.put(path(alice.userId), {})).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
  })
})

describe('client-server-api §Capabilities negotiation', () => {
  it('shows m.account_moderation to administrators only', async () => {
    const capabilities = (person: Person) =>
      person.api
        .get<{ capabilities: object }>('/_matrix/client/v3/capabilities')
        .then((reply) => reply.body.capabilities)
    expect(await capabilities(root)).toMatchObject({ 'm.account_moderation': { lock: true, suspend: true } })
    expect(await capabilities(alice)).not.toHaveProperty(['m.account_moderation'])
  })
})
