import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keptStore } from '../support/kept-store.ts'
import { manualClock } from '../support/manual-clock.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const DEVICES = '/_matrix/client/v3/devices'
const WHOAMI = '/_matrix/client/v3/account/whoami'
let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await server.register('alice')
  await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const passwordOf = (name: string, session?: unknown) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: name },
  password: `password of ${name}`,
  ...(session === undefined ? {} : { session }),
})
const idsOf = async (person: Person): Promise<string[]> => {
  const { body } = await person.api.get<{ devices: { device_id: string }[] }>(DEVICES)
  return body.devices.map((device) => device.device_id)
}

describe('client-server-api §GET /devices', () => {
  it('lists the own devices with when and from where they were last seen', async () => {
    const clock = manualClock()
    await using own = await startTestServer({ clock })
    const alice = await own.register('alice')
    await own.register('bob')
    const { status, body } = await alice.api.get(DEVICES)
    expect(status).toBe(200)
    expect(body).toEqual({
      devices: [{ device_id: alice.deviceId, last_seen_ip: '127.0.0.1', last_seen_ts: clock.now() }],
    })
    expect((await alice.api.get(`${DEVICES}/${alice.deviceId}`)).body).toEqual({
      device_id: alice.deviceId,
      last_seen_ip: '127.0.0.1',
      last_seen_ts: clock.now(),
    })
  })

  it('remembers over a restart when a device was last seen, without a commit for each request', async () => {
    const openStore = keptStore()
    const clock = manualClock()
    const first = await startTestServer({ openStore, clock })
    const alice = await first.register('alice')
    const store = await openStore()
    const before = store.position
    for (let i = 0; i < 5; i += 1) {
      clock.advance(30_000)
      await alice.api.get(WHOAMI)
    }
    expect(store.position).toBe(before)
    const seenTs = clock.now()
    await first[Symbol.asyncDispose]()
    // What was seen last, and how far other servers have been told.
    expect(store.position).toBeLessThanOrEqual(before + 2)

    clock.advance(3_600_000)
    await using second = await startTestServer({ openStore, clock })
    const again = await second.login('alice')
    const { body } = await again.api.get<{ last_seen_ts: number }>(`${DEVICES}/${alice.deviceId}`)
    // Within the minute for which the same place is not noted anew.
    expect(seenTs - body.last_seen_ts).toBeLessThanOrEqual(60_000)
  })

  it('does not find devices of others', async () => {
    const alice = await server.login('alice')
    const bob = await server.login('bob')
    expect(await alice.api.get(`${DEVICES}/${bob.deviceId}`)).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
    expect(await idsOf(alice)).not.toContain(bob.deviceId)
  })
})

describe('client-server-api §PUT /devices/{deviceId}', () => {
  it('changes the display name, and leaves it where none is given', async () => {
    const alice = await server.login('alice')
    const path = `${DEVICES}/${alice.deviceId}`
    expect(await alice.api.put(path, { display_name: 'Attic' })).toMatchObject({ status: 200, body: {} })
    expect((await alice.api.put(path, {})).status).toBe(200)
    expect((await alice.api.get(path)).body).toMatchObject({ display_name: 'Attic' })
  })

  it('refuses unknown devices and names that are too long', async () => {
    const alice = await server.login('alice')
    expect(await alice.api.put(`${DEVICES}/NOSUCH`, { display_name: 'x' })).toMatchObject({ status: 404 })
    expect(await alice.api.put(`${DEVICES}/${alice.deviceId}`, { display_name: 'x'.repeat(257) })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
  })
})

describe('client-server-api §DELETE /devices/{deviceId}', () => {
  it('asks for the password, then removes the device and its token', async () => {
    const alice = await server.login('alice')
    const other = await server.login('alice')
    const path = `${DEVICES}/${other.deviceId}`
    const first = await alice.api.delete(path)
    expect(first).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
    expect((await other.api.get(WHOAMI)).status).toBe(200)

    const done = await alice.api.delete(path, { auth: passwordOf('alice', first.body.session) })
    expect(done).toMatchObject({ status: 200, body: {} })
    expect(await other.api.get(WHOAMI)).toMatchObject({ status: 401, body: { soft_logout: false } })
    expect((await alice.api.get(path)).status).toBe(404)
  })

  it('succeeds for a device that is gone', async () => {
    const alice = await server.login('alice')
    expect((await alice.api.delete(`${DEVICES}/GONE`, { auth: passwordOf('alice') })).status).toBe(200)
  })

  it('answers a wrong password with 401, the flows and M_FORBIDDEN, and removes nothing', async () => {
    const alice = await server.login('alice')
    const path = `${DEVICES}/${alice.deviceId}`
    const { body: asked } = await alice.api.delete(path, {})
    const auth = { ...passwordOf('alice', asked.session), password: 'wrong' }
    const refused = await alice.api.delete(path, { auth })
    expect(refused).toMatchObject({
      status: 401,
      body: { errcode: 'M_FORBIDDEN', error: expect.any(String), flows: asked.flows, session: asked.session },
    })
    expect((await alice.api.get(WHOAMI)).status).toBe(200)
    expect((await alice.api.delete(path, { auth: passwordOf('alice', asked.session) })).status).toBe(200)
  })

  it("does not take another user's password", async () => {
    const alice = await server.login('alice')
    const path = `${DEVICES}/${alice.deviceId}`
    expect(await alice.api.delete(path, { auth: passwordOf('bob') })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
    expect((await alice.api.get(WHOAMI)).status).toBe(200)
  })
})

describe('client-server-api §POST /delete_devices', () => {
  it('removes the named devices of the user, and no others', async () => {
    const alice = await server.login('alice')
    const bob = await server.login('bob')
    const [one, two] = [await server.login('alice'), await server.login('alice')]
    const devices = [one.deviceId, two.deviceId, bob.deviceId, 'NOSUCH', one.deviceId]
    const { status } = await alice.api.post('/_matrix/client/v3/delete_devices', { devices, auth: passwordOf('alice') })
    expect(status).toBe(200)
    const left = await idsOf(alice)
    expect(left).toContain(alice.deviceId)
    expect(left).not.toContain(one.deviceId)
    expect(left).not.toContain(two.deviceId)
    expect((await bob.api.get(WHOAMI)).status).toBe(200)
  })

  it('refuses a body without a list of strings', async () => {
    const alice = await server.login('alice')
    for (const body of [{}, { devices: 'ALL' }, { devices: [1] }]) {
      expect(await alice.api.post('/_matrix/client/v3/delete_devices', body)).toMatchObject({
        status: 400,
        body: { errcode: 'M_BAD_JSON' },
      })
    }
  })
})

describe('client-server-api §User-Interactive Authentication API', () => {
  it('does not let a session serve for another operation, path or user', async () => {
    const alice = await server.login('alice')
    const bob = await server.login('bob')
    const { body } = await alice.api.delete(`${DEVICES}/ONE`)
    const other = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    const auth = passwordOf('alice', body.session)
    expect(await alice.api.delete(`${DEVICES}/TWO`, { auth })).toMatchObject(other)
    expect(await alice.api.post('/_matrix/client/v3/delete_devices', { devices: ['ONE'], auth })).toMatchObject(other)
    expect(await bob.api.delete(`${DEVICES}/ONE`, { auth: passwordOf('bob', body.session) })).toMatchObject(other)
  })

  it('does not let a completed session serve for another body', async () => {
    const alice = await server.login('alice')
    const path = '/_matrix/client/v3/delete_devices'
    const { body } = await alice.api.post(path, { devices: ['ONE'] })
    const auth = passwordOf('alice', body.session)
    expect((await alice.api.post(path, { devices: ['ONE'], auth })).status).toBe(200)
    const reused = await alice.api.post(path, { devices: [alice.deviceId], auth: { session: body.session } })
    expect(reused).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect((await alice.api.get(WHOAMI)).status).toBe(200)
  })

  it('asks again where the session has expired or never was', async () => {
    const clock = manualClock()
    await using own = await startTestServer({ clock })
    const alice = await own.register('alice')
    const { body } = await alice.api.delete(`${DEVICES}/ONE`)
    clock.advance(16 * 60_000)
    for (const session of [body.session, 'never-was']) {
      const asked = await alice.api.delete(`${DEVICES}/ONE`, { auth: { session } })
      expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
      expect(asked.body.session).not.toBe(session)
    }
  })

  it.each([
    ['the dummy stage', { type: 'm.login.dummy' }],
    ['a stage that no flow has', { type: 'm.login.moonlight' }],
    [
      'a password stage without a password',
      { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' } },
    ],
    ['no type at all', {}],
  ])('answers 401 with the flows to %s where the password is wanted', async (_what, auth) => {
    const alice = await server.login('alice')
    expect(await alice.api.delete(`${DEVICES}/${alice.deviceId}`, { auth })).toMatchObject({
      status: 401,
      body: { flows: [{ stages: ['m.login.password'] }], session: expect.any(String) },
    })
    expect((await alice.api.get(WHOAMI)).status).toBe(200)
  })
})
