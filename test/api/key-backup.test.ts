import { describe, expect, it } from 'vitest'
import { type Person, startTestServer } from '../support/test-server.ts'

const BACKUP = '/_matrix/client/v3/room_keys'
const algorithm = 'm.megolm_backup.v1.curve25519-aes-sha2'
const session = (change: object = {}) => ({
  first_message_index: 5,
  forwarded_count: 1,
  is_verified: false,
  session_data: { ciphertext: 'text', ephemeral: 'key', mac: 'mac' },
  ...change,
})
const newVersion = async (person: Person): Promise<string> => {
  const reply = await person.api.post(`${BACKUP}/version`, { algorithm, auth_data: { public_key: 'abc' } })
  expect(reply.status).toBe(200)
  return (reply.body as { version: string }).version
}
const pathOf = (room: string, id: string, version: string): string =>
  `${BACKUP}/keys/${encodeURIComponent(room)}/${encodeURIComponent(id)}?version=${version}`

describe('client-server-api §Server-side key backups', () => {
  it('keeps versions, of which the newest is the current one', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    expect(await alice.api.get(`${BACKUP}/version`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    const first = await newVersion(alice)
    const second = await newVersion(alice)
    expect(second).not.toBe(first)
    expect((await alice.api.get(`${BACKUP}/version`)).body).toEqual({
      algorithm,
      auth_data: { public_key: 'abc' },
      count: 0,
      etag: expect.any(String),
      version: second,
    })
    expect((await alice.api.get(`${BACKUP}/version/${first}`)).body).toMatchObject({ version: first })
    expect((await alice.api.delete(`${BACKUP}/version/${second}`)).status).toBe(200)
    expect((await alice.api.delete(`${BACKUP}/version/${second}`)).status).toBe(200)
    expect((await alice.api.delete(`${BACKUP}/version/99`)).status).toBe(404)
    expect((await alice.api.get(`${BACKUP}/version`)).body).toMatchObject({ version: first })
    expect(await newVersion(alice)).not.toBe(second)
  })

  it('stores, gives back, counts and removes keys of one session, one room, and all', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const version = await newVersion(alice)
    const one = await alice.api.put(pathOf('!a:x', 's/1', version), session())
    expect(one).toMatchObject({ status: 200, body: { count: 1 } })
    const more = await alice.api.put(`${BACKUP}/keys?version=${version}`, {
      rooms: { '!a:x': { sessions: { s2: session() } }, '!b:x': { sessions: { s3: session() } } },
    })
    expect(more.body).toMatchObject({ count: 3 })
    expect((more.body as { etag: string }).etag).not.toBe((one.body as { etag: string }).etag)
    expect((await alice.api.get(pathOf('!a:x', 's/1', version))).body).toEqual(session())
    expect((await alice.api.get(`${BACKUP}/keys/!a:x?version=${version}`)).body).toEqual({
      sessions: { 's/1': session(), s2: session() },
    })
    expect((await alice.api.get(`${BACKUP}/keys/!none:x?version=${version}`)).body).toEqual({ sessions: {} })
    expect((await alice.api.get(pathOf('!a:x', 'none', version))).status).toBe(404)
    expect((await alice.api.delete(`${BACKUP}/keys/!a:x?version=${version}`)).body).toMatchObject({ count: 1 })
    expect((await alice.api.delete(`${BACKUP}/keys?version=${version}`)).body).toMatchObject({ count: 0 })
    expect((await alice.api.get(`${BACKUP}/keys?version=${version}`)).body).toEqual({ rooms: {} })
  })

  it.each([
    ['verified over unverified', { is_verified: true, first_message_index: 9 }, true],
    ['the lower first index', { first_message_index: 4 }, true],
    ['not the higher first index', { first_message_index: 6, forwarded_count: 0 }, false],
    ['the lower forwarded count', { forwarded_count: 0 }, true],
    [
      'the one that is there of two equal ones',
      { session_data: { ciphertext: 'other', ephemeral: 'e', mac: 'm' } },
      false,
    ],
  ])('keeps the better of two keys of one session: %s', async (_what, change, isReplaced) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const version = await newVersion(alice)
    await alice.api.put(pathOf('!a:x', 's', version), session())
    const etag = async () => ((await alice.api.get(`${BACKUP}/version`)).body as { etag: string }).etag
    const before = await etag()
    await alice.api.put(pathOf('!a:x', 's', version), session(change))
    expect((await alice.api.get(pathOf('!a:x', 's', version))).body).toEqual(isReplaced ? session(change) : session())
    expect((await etag()) !== before).toBe(isReplaced)
  })

  it('writes to the newest version only, and says which that is', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const first = await newVersion(alice)
    const second = await newVersion(alice)
    expect(await alice.api.put(pathOf('!a:x', 's', first), session())).toMatchObject({
      status: 403,
      body: { errcode: 'M_WRONG_ROOM_KEYS_VERSION', current_version: second },
    })
  })

  it('updates auth_data, never the algorithm or the version', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const version = await newVersion(alice)
    const put = (body: object) => alice.api.put(`${BACKUP}/version/${version}`, body)
    expect((await put({ algorithm, auth_data: { public_key: 'new' } })).status).toBe(200)
    expect(await put({ algorithm: 'other', auth_data: {} })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
    expect(await put({ algorithm, auth_data: {}, version: '77' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
    expect((await alice.api.get(`${BACKUP}/version`)).body).toMatchObject({ auth_data: { public_key: 'new' } })
  })

  it('shows nobody another’s backup', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const version = await newVersion(alice)
    await alice.api.put(pathOf('!a:x', 's', version), session())
    expect((await bob.api.get(`${BACKUP}/keys?version=${version}`)).status).toBe(404)
    expect((await bob.api.get(pathOf('!a:x', 's', version))).status).toBe(404)
  })
})
