import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let alice: Person
let bob: Person
beforeAll(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterAll(() => server[Symbol.asyncDispose]())

const path = (userId: string, key?: string) =>
  `/_matrix/client/v3/profile/${encodeURIComponent(userId)}${key === undefined ? '' : `/${encodeURIComponent(key)}`}`
const set = (key: string, value: unknown, by: Person = alice) => by.api.put(path(by.userId, key), { [key]: value })
const notFound = { status: 404, body: { errcode: 'M_NOT_FOUND' } }

describe('client-server-api §Profiles', () => {
  it('is empty at first, and 404 for users who are not there', async () => {
    const fresh = await server.register('fresh')
    expect(await server.api().get(path(fresh.userId))).toMatchObject({ status: 200, body: {} })
    expect(await server.api().get(path(fresh.userId, 'displayname'))).toMatchObject(notFound)
    expect(await server.api().get(path('@nobody:hearth.test'))).toMatchObject(notFound)
    expect(await server.api().get(path('@nobody:hearth.test', 'displayname'))).toMatchObject(notFound)
    expect(await server.api().get(path('alice'))).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  })

  it.each([
    ['displayname', 'Alice \u{1f30b}'],
    ['avatar_url', 'mxc://hearth.test/abc'],
    ['m.tz', 'Europe/London'],
    ['org.example.pronouns', [{ language: 'en', summary: 'she/her' }]],
    ['org.example.nothing', null],
    ['org.example.with-hyphen_1', { deep: { __proto__x: 1 } }],
  ])('stores the field %s and gives it back, alone and with all', async (key, value) => {
    expect(await set(key, value)).toMatchObject({ status: 200, body: {} })
    expect((await server.api().get(path(alice.userId, key))).body).toEqual({ [key]: value })
    expect((await server.api().get(path(alice.userId))).body).toMatchObject({ [key]: value })
  })

  it('removes a field, and does not mind that it is gone', async () => {
    await set('org.example.old', 1)
    for (let i = 0; i < 2; i += 1) {
      expect(await alice.api.delete(path(alice.userId, 'org.example.old'))).toMatchObject({ status: 200, body: {} })
    }
    expect(await server.api().get(path(alice.userId, 'org.example.old'))).toMatchObject(notFound)
  })

  it.each(['displayname', 'avatar_url'])('removes %s that is set to nothing', async (key) => {
    await set(key, key === 'displayname' ? 'B' : 'mxc://hearth.test/b', bob)
    expect((await set(key, '', bob)).status).toBe(200)
    expect(await server.api().get(path(bob.userId, key))).toMatchObject(notFound)
  })

  it.each([
    ['displayname', 5, 'M_INVALID_PARAM'],
    ['displayname', null, 'M_INVALID_PARAM'],
    ['displayname', 'x'.repeat(1_025), 'M_INVALID_PARAM'],
    ['avatar_url', 'https://example.org/a.png', 'M_INVALID_PARAM'],
    ['avatar_url', 'mxc://no-media', 'M_INVALID_PARAM'],
    ['m.tz', {}, 'M_INVALID_PARAM'],
    ['Org.example', 1, 'M_INVALID_PARAM'],
    ['org example', 1, 'M_INVALID_PARAM'],
    ['1org.example', 1, 'M_INVALID_PARAM'],
    [`org.${'x'.repeat(252)}`, 1, 'M_KEY_TOO_LARGE'],
    ['org.example.big', 'x'.repeat(65_536), 'M_PROFILE_TOO_LARGE'],
  ])('refuses %s: %j with 400 %s', async (key, value, errcode) => {
    expect(await set(key, value, bob)).toMatchObject({ status: 400, body: { errcode } })
    expect((await server.api().get(path(bob.userId))).body).not.toHaveProperty([key])
  })

  it('keeps the whole profile under 64 KiB', async () => {
    const carol = await server.register('carol')
    expect((await set('org.example.a', 'x'.repeat(40_000), carol)).status).toBe(200)
    expect(await set('org.example.b', 'x'.repeat(30_000), carol)).toMatchObject({
      body: { errcode: 'M_PROFILE_TOO_LARGE' },
    })
    expect((await set('org.example.a', 'small', carol)).status).toBe(200)
    expect((await set('org.example.b', 'x'.repeat(30_000), carol)).status).toBe(200)
  })

  it('wants the field that the path names in the body', async () => {
    expect(await alice.api.put(path(alice.userId, 'displayname'), { other: 'x' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_MISSING_PARAM' },
    })
    expect(await alice.api.put(path(alice.userId, 'constructor'), {})).toMatchObject({
      body: { errcode: 'M_MISSING_PARAM' },
    })
    expect(await alice.api.put(path(alice.userId, 'displayname'), ['x'])).toMatchObject({
      status: 400,
      body: { errcode: 'M_BAD_JSON' },
    })
  })

  it('lets nobody change the profile of another', async () => {
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await alice.api.put(path(bob.userId, 'displayname'), { displayname: 'Bad' })).toMatchObject(refused)
    expect(await alice.api.delete(path(bob.userId, 'displayname'))).toMatchObject(refused)
    expect(await server.api().put(path(bob.userId, 'displayname'), { displayname: 'Bad' })).toMatchObject({
      status: 401,
    })
  })

  it('loses no field where several are set at the same time', async () => {
    const dora = await server.register('dora')
    const keys = Array.from({ length: 8 }, (_, i) => `org.example.k${i}`)
    await Promise.all(keys.map((key) => set(key, key, dora)))
    expect((await server.api().get(path(dora.userId))).body).toEqual(Object.fromEntries(keys.map((key) => [key, key])))
  })
})
