import { describe, expect, it } from 'vitest'
import { signJson } from '../../server/protocol/signing.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import type { JsonObject } from '../../shared/matrix/json.ts'
import { type Person, startTestServer } from '../support/test-server.ts'

const KEYS = '/_matrix/client/v3/keys'
let seed = 0
/** A fresh key pair; the ID's name is the device's or, for cross-signing, the public key itself. */
function newKey(name?: string): SigningKey & { readonly id: string } {
  seed += 1
  const key = makeSigningKey(Buffer.alloc(32, seed), 'made')
  return { ...key, keyId: `ed25519:${name ?? key.publicKey}`, id: `ed25519:${name ?? key.publicKey}` }
}

function deviceKeys(person: Person, key = newKey(person.deviceId)): JsonObject {
  return signJson(
    {
      user_id: person.userId,
      device_id: person.deviceId,
      algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
      keys: { [`curve25519:${person.deviceId}`]: 'curve', [`ed25519:${person.deviceId}`]: key.publicKey },
    },
    person.userId,
    key,
  )
}

function crossSigningKey(userId: string, usage: string, key: SigningKey, master?: SigningKey): JsonObject {
  const bare = { user_id: userId, usage: [usage], keys: { [`ed25519:${key.publicKey}`]: key.publicKey } }
  return master ? signJson(bare, userId, master) : bare
}

async function withCrossSigning(person: Person) {
  const [master, selfSigning, userSigning] = [newKey(), newKey(), newKey()]
  const body = {
    master_key: crossSigningKey(person.userId, 'master', master),
    self_signing_key: crossSigningKey(person.userId, 'self_signing', selfSigning, master),
    user_signing_key: crossSigningKey(person.userId, 'user_signing', userSigning, master),
  }
  const reply = await person.api.post(`${KEYS}/device_signing/upload`, body)
  expect(reply).toMatchObject({ status: 200, body: {} })
  return { master, selfSigning, userSigning, body }
}

describe('client-server-api §Key management API › uploading and querying', () => {
  it('gives others the keys as they were uploaded, with the name of the device beside them', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const keys = deviceKeys(alice)
    await alice.api.put(`/_matrix/client/v3/devices/${alice.deviceId}`, { display_name: 'Laptop' })
    const uploaded = await alice.api.post(`${KEYS}/upload`, { device_keys: keys })
    expect(uploaded).toMatchObject({ status: 200, body: { one_time_key_counts: { signed_curve25519: 0 } } })
    const reply = await bob.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(reply.body).toMatchObject({
      failures: {},
      device_keys: { [alice.userId]: { [alice.deviceId]: { ...keys, unsigned: { device_display_name: 'Laptop' } } } },
    })
    expect(server.complaints).toEqual([])
  })

  it('leaves out unknown users and devices, and names servers that cannot be reached', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    await alice.api.post(`${KEYS}/upload`, { device_keys: deviceKeys(alice) })
    const reply = await alice.api.post(`${KEYS}/query`, {
      device_keys: { [alice.userId]: ['NONE'], '@nobody:hearth.test': [], '@x:elsewhere.test': [] },
    })
    expect(reply.body).toMatchObject({
      device_keys: { [alice.userId]: {} },
      failures: { 'elsewhere.test': {} },
    })
  })

  it.each([
    ['another user', { user_id: '@mallory:hearth.test' }],
    ['another device', { device_id: 'OTHER' }],
  ])('refuses keys that name %s, and stores nothing', async (_what, change) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const keys = { ...deviceKeys(alice), ...change }
    const one_time_keys = { 'signed_curve25519:AAA': { key: 'k', signatures: {} } }
    const reply = await alice.api.post(`${KEYS}/upload`, { device_keys: keys, one_time_keys })
    expect(reply).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    const counts = await alice.api.post(`${KEYS}/upload`, {})
    expect(counts.body).toEqual({ one_time_key_counts: { signed_curve25519: 0 } })
  })

  it('forgets a device’s keys with the device', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const second = await server.login('alice')
    await second.api.post(`${KEYS}/upload`, {
      device_keys: deviceKeys(second),
      one_time_keys: { 'signed_curve25519:AAA': { key: 'k', signatures: {} } },
    })
    await second.api.post('/_matrix/client/v3/logout', {})
    const reply = await bob.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(reply.body).toMatchObject({ device_keys: { [alice.userId]: {} } })
    const claim = { one_time_keys: { [alice.userId]: { [second.deviceId]: 'signed_curve25519' } } }
    expect((await bob.api.post(`${KEYS}/claim`, claim)).body).toMatchObject({ one_time_keys: {} })
  })
})

describe('client-server-api §One-time and fallback keys', () => {
  const oneTime = (...names: string[]) =>
    Object.fromEntries(names.map((name) => [`signed_curve25519:${name}`, { key: `key ${name}`, signatures: {} }]))
  const claimFrom = (person: Person) => ({
    one_time_keys: { [person.userId]: { [person.deviceId]: 'signed_curve25519' } },
  })
  const namesIn = (body: unknown, person: Person): readonly string[] => {
    const { one_time_keys } = body as { one_time_keys: Record<string, Record<string, object>> }
    return Object.keys(one_time_keys[person.userId]?.[person.deviceId] ?? {})
  }

  it('gives each key out once, in the order of the uploads', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime('B') })
    const second = await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime('A') })
    expect(second.body).toEqual({ one_time_key_counts: { signed_curve25519: 2 } })
    expect(namesIn((await bob.api.post(`${KEYS}/claim`, claimFrom(alice))).body, alice)).toEqual([
      'signed_curve25519:B',
    ])
    expect(namesIn((await bob.api.post(`${KEYS}/claim`, claimFrom(alice))).body, alice)).toEqual([
      'signed_curve25519:A',
    ])
    expect(namesIn((await bob.api.post(`${KEYS}/claim`, claimFrom(alice))).body, alice)).toEqual([])
  })

  it('gives no key twice to claims that come at the same moment', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const names = Array.from({ length: 20 }, (_, i) => `K${i}`)
    await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime(...names) })
    const replies = await Promise.all(
      names.concat('one too many').map(() => bob.api.post(`${KEYS}/claim`, claimFrom(alice))),
    )
    const claimed = replies.flatMap((reply) => namesIn(reply.body, alice))
    expect(claimed).toHaveLength(20)
    expect(new Set(claimed).size).toBe(20)
  })

  it('falls back to the fallback key, again and again, and counts it as used', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const fallback_keys = { 'signed_curve25519:F': { key: 'fallback', fallback: true, signatures: {} } }
    await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime('A'), fallback_keys })
    const claims = []
    for (let i = 0; i < 3; i += 1)
      claims.push(namesIn((await bob.api.post(`${KEYS}/claim`, claimFrom(alice))).body, alice)[0])
    expect(claims).toEqual(['signed_curve25519:A', 'signed_curve25519:F', 'signed_curve25519:F'])
  })

  it('takes the same key again, refuses another under its name, and stores nothing then', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime('A') })
    const again = await alice.api.post(`${KEYS}/upload`, { one_time_keys: oneTime('A') })
    expect(again.body).toEqual({ one_time_key_counts: { signed_curve25519: 1 } })
    const other = { ...oneTime('NEW'), 'signed_curve25519:A': { key: 'other', signatures: {} } }
    const refused = await alice.api.post(`${KEYS}/upload`, { one_time_keys: other })
    expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect((await alice.api.post(`${KEYS}/upload`, {})).body).toEqual({ one_time_key_counts: { signed_curve25519: 1 } })
  })

  it('refuses two fallback keys of one algorithm, and names without an algorithm', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const two = await alice.api.post(`${KEYS}/upload`, { fallback_keys: oneTime('A', 'B') })
    expect(two).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    const nameless = await alice.api.post(`${KEYS}/upload`, { one_time_keys: { nameless: 'key' } })
    expect(nameless).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  })
})

describe('client-server-api §Cross-signing', () => {
  it('takes the first keys, and the same again, without authentication; others only with it', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { body } = await withCrossSigning(alice)
    expect((await alice.api.post(`${KEYS}/device_signing/upload`, body)).status).toBe(200)
    const master = newKey()
    const changed = { master_key: crossSigningKey(alice.userId, 'master', master) }
    const asked = await alice.api.post(`${KEYS}/device_signing/upload`, changed)
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
    const auth = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'password of alice',
      session: (asked.body as { session: string }).session,
    }
    expect((await alice.api.post(`${KEYS}/device_signing/upload`, { ...changed, auth })).status).toBe(200)
    const query = await alice.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(query.body).toMatchObject({ master_keys: { [alice.userId]: changed.master_key } })
  })

  it.each(['self_signing', 'user_signing'] as const)(
    'asks for authentication for a new %s key beside the master key that is there, or without one',
    async (usage) => {
      await using server = await startTestServer()
      const alice = await server.register('alice')
      const { master, body } = await withCrossSigning(alice)
      const upload = (keys: JsonObject) => alice.api.post(`${KEYS}/device_signing/upload`, keys)
      const changed = { [`${usage}_key`]: crossSigningKey(alice.userId, usage, newKey(), master) }
      const flows = [{ stages: ['m.login.password'] }]
      expect(await upload({ ...body, ...changed })).toMatchObject({ status: 401, body: { flows } })
      expect(await upload(changed)).toMatchObject({ status: 401, body: { flows } })
      const identifier = { type: 'm.id.user', user: 'alice' }
      const auth = { type: 'm.login.password', identifier, password: 'password of alice' }
      const forged = { [`${usage}_key`]: crossSigningKey(alice.userId, usage, newKey(), newKey()) }
      expect(await upload({ ...forged, auth })).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_SIGNATURE' } })
      // Signed by the master key that was uploaded last, where the request has none.
      expect((await upload({ ...changed, auth })).status).toBe(200)
      const query = await alice.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
      expect(query.body).toMatchObject({
        master_keys: { [alice.userId]: body.master_key },
        [`${usage}_keys`]: { [alice.userId]: changed[`${usage}_key`] },
      })
    },
  )

  it.each([
    ['a self-signing key that the master key did not sign', 'M_INVALID_SIGNATURE'],
    ['no master key at all', 'M_MISSING_PARAM'],
    ['a key of another user', 'M_INVALID_PARAM'],
    ['a key under another’s name', 'M_INVALID_PARAM'],
  ])('refuses %s', async (what, errcode) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const [master, other] = [newKey(), newKey()]
    const bodies: Record<string, JsonObject> = {
      'a self-signing key that the master key did not sign': {
        master_key: crossSigningKey(alice.userId, 'master', master),
        self_signing_key: crossSigningKey(alice.userId, 'self_signing', other, other),
      },
      'no master key at all': { self_signing_key: crossSigningKey(alice.userId, 'self_signing', other, master) },
      'a key of another user': { master_key: crossSigningKey('@bob:hearth.test', 'master', master) },
      'a key under another’s name': {
        master_key: {
          user_id: alice.userId,
          usage: ['master'],
          keys: { [`ed25519:${other.publicKey}`]: master.publicKey },
        },
      },
    }
    const reply = await alice.api.post(`${KEYS}/device_signing/upload`, bodies[what])
    expect(reply).toMatchObject({ status: 400, body: { errcode } })
    const query = await alice.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(query.body).toMatchObject({ master_keys: {} })
  })

  it('shows the user-signing key to its owner only', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const { body } = await withCrossSigning(alice)
    const query = { device_keys: { [alice.userId]: [] } }
    expect((await alice.api.post(`${KEYS}/query`, query)).body).toMatchObject({
      user_signing_keys: { [alice.userId]: body.user_signing_key },
    })
    expect((await bob.api.post(`${KEYS}/query`, query)).body).toMatchObject({
      self_signing_keys: { [alice.userId]: body.self_signing_key },
      user_signing_keys: {},
    })
  })

  it('adds the self-signing key’s signature to a device for everybody to see', async () => {
    await using server = await startTestServer()
    const [alice, bob] = [await server.register('alice'), await server.register('bob')]
    const { selfSigning } = await withCrossSigning(alice)
    const keys = deviceKeys(alice)
    await alice.api.post(`${KEYS}/upload`, { device_keys: keys })
    const signed = signJson(keys, alice.userId, selfSigning)
    const reply = await alice.api.post(`${KEYS}/signatures/upload`, { [alice.userId]: { [alice.deviceId]: signed } })
    expect(reply).toMatchObject({ status: 200, body: { failures: {} } })
    const query = await bob.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(query.body).toMatchObject({
      device_keys: { [alice.userId]: { [alice.deviceId]: { signatures: signed.signatures } } },
    })
  })

  it('shows a signature on another’s master key to the one who made it, and to nobody else', async () => {
    await using server = await startTestServer()
    const [alice, bob, carol] = [
      await server.register('alice'),
      await server.register('bob'),
      await server.register('carol'),
    ]
    const { userSigning } = await withCrossSigning(alice)
    const { body } = await withCrossSigning(bob)
    const signed = signJson(body.master_key, alice.userId, userSigning)
    const keyId = Object.values(body.master_key.keys as Record<string, string>)[0] ?? ''
    const reply = await alice.api.post(`${KEYS}/signatures/upload`, { [bob.userId]: { [keyId]: signed } })
    expect(reply.body).toEqual({ failures: {} })
    const query = { device_keys: { [bob.userId]: [] } }
    const seenBy = async (person: Person) =>
      ((await person.api.post(`${KEYS}/query`, query)).body as { master_keys: Record<string, JsonObject> }).master_keys[
        bob.userId
      ]
    expect(await seenBy(alice)).toEqual(signed)
    expect(await seenBy(carol)).toEqual(body.master_key)
  })

  it.each([
    ['a wrong signature', 'M_INVALID_SIGNATURE'],
    ['keys that differ from those uploaded', 'M_INVALID_PARAM'],
    ['a key that is not there', 'M_NOT_FOUND'],
  ])('says which signatures failed: %s', async (what, errcode) => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { selfSigning } = await withCrossSigning(alice)
    const keys = deviceKeys(alice)
    await alice.api.post(`${KEYS}/upload`, { device_keys: keys })
    const forged = { ...newKey(), keyId: selfSigning.keyId }
    const cases: Record<string, readonly [string, JsonObject]> = {
      'a wrong signature': [alice.deviceId, signJson(keys, alice.userId, forged)],
      'keys that differ from those uploaded': [
        alice.deviceId,
        signJson({ ...keys, algorithms: [] }, alice.userId, selfSigning),
      ],
      'a key that is not there': ['NONE', signJson(keys, alice.userId, selfSigning)],
    }
    const [keyId, object] = cases[what] ?? ['', {}]
    const reply = await alice.api.post(`${KEYS}/signatures/upload`, { [alice.userId]: { [keyId]: object } })
    expect(reply).toMatchObject({ status: 200, body: { failures: { [alice.userId]: { [keyId]: { errcode } } } } })
  })

  it('refuses a cross-signing key that equals a device ID', async () => {
    await using server = await startTestServer()
    const key = newKey()
    const registered = await server.api().post('/_matrix/client/v3/register', {
      username: 'alice',
      password: 'password of alice',
      device_id: key.publicKey,
      auth: { type: 'm.login.dummy' },
    })
    const { user_id, access_token } = registered.body as { user_id: string; access_token: string }
    const alice: Person = {
      userId: user_id,
      deviceId: key.publicKey,
      accessToken: access_token,
      api: server.api(access_token),
    }
    await alice.api.post(`${KEYS}/upload`, { device_keys: deviceKeys(alice) })
    const reply = await alice.api.post(`${KEYS}/device_signing/upload`, {
      master_key: crossSigningKey(alice.userId, 'master', key),
    })
    expect(reply).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('refuses a login with a device ID that equals a cross-signing key', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { master } = await withCrossSigning(alice)
    const login = {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'password of alice',
    }
    const reply = await server.api().post('/_matrix/client/v3/login', { ...login, device_id: master.publicKey })
    expect(reply).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('refuses a device ID that equals a cross-signing key', async () => {
    await using server = await startTestServer()
    const alice = await server.register('alice')
    const { master, selfSigning } = await withCrossSigning(alice)
    const logIn = (device_id: string) =>
      server.api().post('/_matrix/client/v3/login', {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'alice' },
        password: 'password of alice',
        device_id,
      })
    for (const { publicKey } of [master, selfSigning]) {
      expect(await logIn(publicKey)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    }
    expect((await logIn('PHONE')).status).toBe(200)
    const { body } = await alice.api.get<{ devices: { device_id: string }[] }>('/_matrix/client/v3/devices')
    expect(body.devices.map(({ device_id }) => device_id).sort()).toEqual([alice.deviceId, 'PHONE'].sort())
  })
})
