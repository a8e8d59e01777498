import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'

const PATH = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'
const KEYS = '/_matrix/client/v3/keys'

function upload(who: Person, deviceId: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    device_id: deviceId,
    device_data: { algorithm: 'org.matrix.msc3814.v2', device_pickle: 'pickle', nonce: 'nonce' },
    initial_device_display_name: 'Dehydrated device',
    device_keys: {
      user_id: who.userId,
      device_id: deviceId,
      dehydrated: true,
      algorithms: ['m.olm.v1.curve25519-aes-sha2'],
      keys: { [`ed25519:${deviceId}`]: 'key' },
      signatures: {},
    },
    one_time_keys: { 'signed_curve25519:AAA': { key: 'one', signatures: {} } },
    fallback_keys: { 'signed_curve25519:BBB': { key: 'fallback', fallback: true, signatures: {} } },
    ...more,
  }
}
const put = (who: Person, deviceId: string, more?: Record<string, unknown>) =>
  who.api.put<{ device_id: string; errcode: string }>(PATH, upload(who, deviceId, more))
const get = (who: Person) => who.api.get<{ device_id: string; device_data: unknown; errcode: string }>(PATH)
const devices = async (who: Person): Promise<readonly string[]> =>
  (await who.api.get<{ devices: { device_id: string }[] }>('/_matrix/client/v3/devices')).body.devices.map(
    ({ device_id }) => device_id,
  )
const eventsPath = (deviceId: string): string => `${PATH}/${encodeURIComponent(deviceId)}/events`
interface Events {
  readonly events: readonly { type: string; sender: string; content: { n: number } }[]
  readonly next_batch?: string
  readonly errcode: string
}

/** An ID as clients make it: base64, which may hold a slash. */
const ID = 'dehydrated/device+id'
let server: TestServer
let alice: Person
let bob: Person
beforeEach(async () => {
  server = await startTestServer()
  alice = await server.register('alice')
  bob = await server.register('bob')
})
afterEach(() => server[Symbol.asyncDispose]())

describe('MSC3814 Dehydrated devices', () => {
  it('is named among the unstable features', async () => {
    const { body } = await alice.api.get<{ unstable_features: Record<string, boolean> }>('/_matrix/client/versions')
    expect(body.unstable_features['org.matrix.msc3814']).toBe(true)
  })

  it('keeps the device and its data, and shows it to others with its keys', async () => {
    expect(await get(alice)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await put(alice, ID)).toMatchObject({ status: 200, body: { device_id: ID } })
    const { device_data } = upload(alice, ID)
    expect(await get(alice)).toMatchObject({ status: 200, body: { device_id: ID, device_data } })
    expect(await get(bob)).toMatchObject({ status: 404 })
    const queried = await bob.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(queried.body).toMatchObject({ device_keys: { [alice.userId]: { [ID]: { dehydrated: true } } } })
    const claim = { one_time_keys: { [alice.userId]: { [ID]: 'signed_curve25519' } } }
    for (const name of ['AAA', 'BBB', 'BBB']) {
      const { body } = await bob.api.post<{ one_time_keys: Record<string, Record<string, object>> }>(
        `${KEYS}/claim`,
        claim,
      )
      expect(Object.keys(body.one_time_keys[alice.userId]?.[ID] ?? {})).toEqual([`signed_curve25519:${name}`])
    }
  })

  it('has one for each user: a new one takes the place of the old one, which is gone with all of its keys', async () => {
    await put(alice, ID)
    await put(alice, 'second')
    expect((await get(alice)).body.device_id).toBe('second')
    expect((await devices(alice)).toSorted()).toEqual([alice.deviceId, 'second'].toSorted())
    const queried = await bob.api.post(`${KEYS}/query`, { device_keys: { [alice.userId]: [] } })
    expect(
      Object.keys((queried.body as never as Record<string, Record<string, object>>).device_keys?.[alice.userId] ?? {}),
    ).toEqual(['second'])
    expect((await put(alice, 'second', { device_data: { algorithm: 'other' } })).status).toBe(200)
    expect((await get(alice)).body.device_data).toEqual({ algorithm: 'other' })
  })

  it('refuses keys of another device, and the ID of a device that is in use', async () => {
    const { device_keys } = upload(alice, 'another')
    expect(await put(alice, ID, { device_keys })).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(await put(alice, alice.deviceId)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await put(alice, ID, { device_keys: undefined })).toMatchObject({
      status: 400,
      body: { errcode: 'M_BAD_JSON' },
    })
    expect(await devices(alice)).toEqual([alice.deviceId])
  })

  it.each(['GET', 'POST'])('gives what was sent to it in batches by %s, as often as it is asked', async (method) => {
    await put(alice, ID)
    for (let n = 0; n < 103; n += 1) {
      const path = `/_matrix/client/v3/sendToDevice/m.room.encrypted/t${n}`
      await bob.api.put(path, { messages: { [alice.userId]: { [ID]: { n } } } })
    }
    const ask = (from?: string) =>
      method === 'GET'
        ? alice.api.get<Events>(eventsPath(ID), from === undefined ? {} : { from })
        : alice.api.post<Events>(eventsPath(ID), from === undefined ? {} : { next_batch: from })
    for (let times = 0; times < 2; times += 1) {
      const first = (await ask()).body
      expect(first.events).toHaveLength(100)
      const second = (await ask(first.next_batch)).body
      expect(second).not.toHaveProperty('next_batch')
      const all = [...first.events, ...second.events]
      expect(all.map(({ content }) => content.n)).toEqual(Array.from({ length: 103 }, (_, n) => n))
      expect(all[0]).toMatchObject({ type: 'm.room.encrypted', sender: bob.userId })
    }
    expect(await ask('no token')).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    for (const [who, id] of [
      [alice, alice.deviceId],
      [bob, ID],
    ] as const) {
      expect(await who.api.get(eventsPath(id))).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    }
  })

  it('is gone after its deletion, and after that of the device', async () => {
    await put(alice, ID)
    expect(await alice.api.delete(PATH)).toMatchObject({ status: 200, body: { device_id: ID } })
    expect(await alice.api.delete(PATH)).toMatchObject({ status: 404 })
    expect(await devices(alice)).toEqual([alice.deviceId])
    await put(alice, ID)
    await alice.api.post('/_matrix/client/v3/delete_devices', {
      devices: [ID],
      auth: { type: 'm.login.password', user: alice.userId, password: 'password of alice' },
    })
    expect((await get(alice)).status).toBe(404)
    expect((await alice.api.get(eventsPath(ID))).status).toBe(403)
    expect((await put(alice, ID)).status).toBe(200)
    expect((await get(alice)).body.device_id).toBe(ID)
  })
})
