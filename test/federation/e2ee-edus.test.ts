/** One home, and a server in the test's hands that says of its users' devices what it likes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../server/index.ts'
import type { Clock } from '../../server/observe/environment.ts'
import type { JsonObject } from '../../server/protocol/pdu.ts'
import { type AskingServer, startAskingServer } from '../support/asking-server.ts'
import { sendJson } from '../support/foreign-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { newRoom } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'
import {
  crossSigningKey,
  type DeviceSync,
  deviceKeys,
  devicesOf,
  follow,
  good,
  identityUpload,
  newIdentity,
  newKey,
  publish,
  queryKeys,
} from './e2ee-people.ts'

/** On a busy machine. */
const IN_TIME = { timeout: 20_000, interval: 50 }
const V3 = '/_matrix/client/v3'
const FED = '/_matrix/federation/v1'
let homes: Homes & { readonly 0: Home }
let alpha: Home
let asking: AskingServer
let aheadMs = 0
/** First tries to fetch a list again, which the test makes due. */
const retries = new Set<() => void>()
const clock: Clock = {
  now: () => systemClock.now() + aheadMs,
  after(delayMs, callback) {
    if (delayMs < 5_000 || delayMs > 6_000) return systemClock.after(delayMs, callback)
    retries.add(callback)
    return () => void retries.delete(callback)
  },
}

/** What the other server answers about its users, by user ID; `undefined`: an error. */
const lists = new Map<
  string,
  { stream_id: number; devices: JsonObject[]; master_key?: unknown; self_signing_key?: unknown }
>()
const askedAbout: string[] = []
/** EDUs that the home sent. */
const edus: { readonly edu_type: string; readonly content: JsonObject }[] = []

beforeAll(async () => {
  homes = await startHomes(['alpha.test'], { clock })
  alpha = homes[0]
  asking = await startAskingServer(homes, 'asking.test')
  asking.foreign.answer = ({ method, url, body }, response) => {
    const userId = /\/user\/devices\/([^/?]+)/.exec(url)?.[1]
    if (userId !== undefined) {
      const list = lists.get(decodeURIComponent(userId))
      askedAbout.push(decodeURIComponent(userId))
      if (list) sendJson(response, 200, { user_id: decodeURIComponent(userId), ...list })
      else response.writeHead(502).end()
    } else if (method === 'PUT' && url.includes('/send/')) {
      edus.push(...((JSON.parse(body) as { edus?: typeof edus }).edus ?? []))
      sendJson(response, 200, { pdus: {} })
    } else sendJson(response, 404, { errcode: 'M_UNRECOGNIZED', error: 'not here' })
  }
}, 60_000)
afterAll(async () => {
  await asking[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

let count = 0
/** Sends EDUs in a transaction of their own, and is told that they were taken in. */
async function tell(...told: readonly (readonly [string, object])[]): Promise<void> {
  count += 1
  const { status } = await asking.ask(alpha, 'PUT', `${FED}/send/e${count}`, {
    origin: 'asking.test',
    origin_server_ts: 1,
    pdus: [],
    edus: told.map(([edu_type, content]) => ({ edu_type, content: content as JsonObject })),
  })
  expect(status).toBe(200)
}

const listed = (userId: string, deviceId: string, keys = deviceKeys(userId, deviceId)) => ({
  device_id: deviceId,
  keys,
})

/** Alice, here, in a room with eve of the other server, whose list is in `lists`. */
async function pair(): Promise<{ alice: Person; eve: string; name: string }> {
  count += 1
  const name = `alice${count}`
  const alice = await alpha.register(name)
  const eve = asking.user(`eve${count}`)
  lists.set(eve, { stream_id: 10, devices: [listed(eve, 'ONE')] })
  await asking.join(alpha, await newRoom(alice, { preset: 'public_chat' }), eve)
  return { alice, eve, name }
}

const update = (userId: string, deviceId: string, ids: { stream_id: number; prev_id?: unknown }, more: object = {}) =>
  ['m.device_list_update', { user_id: userId, device_id: deviceId, ...ids, ...more }] as const
const timesAsked = (userId: string): number => askedAbout.filter((one) => one === userId).length

describe('server-server-api §Device Management, m.device_list_update in', () => {
  it('keeps the copy current without asking again, as long as nothing is missing', async () => {
    const { alice, eve } = await pair()
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    const sync = await follow(alice)
    const keys = deviceKeys(eve, 'TWO')
    await tell(
      update(eve, 'TWO', { stream_id: 11, prev_id: [10] }, { keys, device_display_name: 'Second' }),
      update(eve, 'ONE', { stream_id: 12, prev_id: [11] }, { deleted: true }),
    )
    await sync(({ device_lists: told }) => told?.changed?.includes(eve) === true)
    expect((await queryKeys(alice, eve)).device_keys[eve]).toEqual({
      TWO: { ...keys, unsigned: { device_display_name: 'Second' } },
    })
    await tell(update(eve, 'TWO', { stream_id: 11, prev_id: [10] }, { deleted: true }))
    expect(await devicesOf(alice, eve)).toEqual(['TWO'])
    expect(timesAsked(eve)).toBe(1)
  }, 60_000)

  it('fetches the list anew where an update is missing, and tells clients of what changed', async () => {
    const { alice, eve } = await pair()
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    const sync = await follow(alice)
    lists.set(eve, { stream_id: 15, devices: [listed(eve, 'ONE'), listed(eve, 'MISSED')] })
    await tell(update(eve, 'ONE', { stream_id: 15, prev_id: [14] }, { keys: deviceKeys(eve, 'ONE') }))
    await sync(({ device_lists: told }) => told?.changed?.includes(eve) === true)
    expect(await devicesOf(alice, eve)).toEqual(['MISSED', 'ONE'])
    expect(timesAsked(eve)).toBe(2)
    await tell(update(eve, 'MISSED', { stream_id: 16, prev_id: [15] }, { deleted: true }))
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    expect(timesAsked(eve)).toBe(2)
  }, 60_000)

  it('tries again later where the list cannot be had', async () => {
    const { alice, eve } = await pair()
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    const sync = await follow(alice)
    lists.delete(eve)
    await tell(update(eve, 'ONE', { stream_id: 15, prev_id: [14] }, { deleted: true }))
    await expect.poll(() => retries.size, IN_TIME).toBeGreaterThan(0)
    expect((await queryKeys(alice, eve)).failures).toMatchObject({ 'asking.test': { errcode: 'M_UNREACHABLE' } })
    lists.set(eve, { stream_id: 20, devices: [listed(eve, 'NEW')] })
    aheadMs += 2 * 3_600_000
    for (const callback of [...retries]) callback()
    await sync(({ device_lists: told }) => told?.changed?.includes(eve) === true)
    expect(await devicesOf(alice, eve)).toEqual(['NEW'])
  }, 60_000)

  it('tries again after a restart', async () => {
    const { alice, eve } = await pair()
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    lists.delete(eve)
    await tell(update(eve, 'ONE', { stream_id: 15, prev_id: [14] }, { deleted: true }))
    await expect.poll(() => timesAsked(eve), IN_TIME).toBe(2)
    lists.set(eve, { stream_id: 20, devices: [listed(eve, 'NEW')] })
    await alpha.restart()
    await expect.poll(() => timesAsked(eve), IN_TIME).toBe(3)
    expect(await devicesOf({ ...alice, api: alpha.api(alice.accessToken) }, eve)).toEqual(['NEW'])
  }, 60_000)

  it('hears nothing of users of another server than the one that speaks, nor of keys of other devices', async () => {
    const { alice, eve } = await pair()
    const other = await alpha.register(`other${count}`)
    await publish(other)
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    await tell(
      update(other.userId, other.deviceId, { stream_id: 1, prev_id: [] }, { deleted: true }),
      update('@x:third.test', 'X', { stream_id: 1, prev_id: [] }),
      update(eve, 'TWO', { stream_id: 11, prev_id: [10] }, { keys: deviceKeys(other.userId, 'TWO') }),
      ['m.device_list_update', { user_id: eve, device_id: { a: 1 }, stream_id: 'x', prev_id: 7 }],
      ['m.signing_key_update', { user_id: other.userId, master_key: {} }],
      ['m.signing_key_update', []],
    )
    expect(await devicesOf(alice, other.userId)).toEqual([other.deviceId])
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    expect(alpha.faults).toEqual([])
  }, 60_000)

  it('leaves out of a list what is of another user or device', async () => {
    const { alice, eve } = await pair()
    lists.set(eve, {
      stream_id: 10,
      devices: [
        listed(eve, 'ONE'),
        listed(eve, 'TWO', deviceKeys(eve, 'ONE')),
        listed(eve, 'THREE', deviceKeys(alice.userId, 'THREE')),
        { device_id: 'FOUR' },
        { keys: {} },
      ],
      master_key: null,
      self_signing_key: crossSigningKey(eve, 'self_signing', newKey()),
    })
    const reply = await queryKeys(alice, eve)
    expect(Object.keys(reply.device_keys[eve] ?? {})).toEqual(['ONE'])
    expect(reply).toMatchObject({ master_keys: {}, self_signing_keys: {} })
  }, 60_000)
})

describe('server-server-api §End-to-End Encryption, m.signing_key_update in', () => {
  it('takes keys that the master key has signed, and refuses others', async () => {
    const { alice, eve } = await pair()
    expect(await devicesOf(alice, eve)).toEqual(['ONE'])
    const { master_key, self_signing_key, user_signing_key } = identityUpload(eve, newIdentity())
    const list = { stream_id: 10, devices: [listed(eve, 'ONE')], master_key, self_signing_key }
    lists.set(eve, list)
    await tell(['m.signing_key_update', { user_id: eve, master_key, self_signing_key, user_signing_key }])
    const isKnown = { master_keys: { [eve]: master_key }, self_signing_keys: { [eve]: self_signing_key } }
    expect(await queryKeys(alice, eve)).toMatchObject({ ...isKnown, user_signing_keys: {} })
    const forged = crossSigningKey(eve, 'self_signing', newKey(), newKey())
    await tell(['m.signing_key_update', { user_id: eve, self_signing_key: forged }])
    expect(await queryKeys(alice, eve)).toMatchObject(isKnown)
    lists.set(eve, { ...list, self_signing_key: forged })
    await tell(['m.signing_key_update', { user_id: eve, master_key, self_signing_key: forged }])
    const { self_signing_keys: selfSigning } = await queryKeys(alice, eve)
    expect(selfSigning).toEqual({})
  }, 60_000)
})

describe('server-server-api §Device Management, m.device_list_update out', () => {
  it('chains updates from the list that was fetched, so that nobody has to fetch it again', async () => {
    const { alice, name } = await pair()
    const about = (userId: string) => edus.filter(({ content }) => content.user_id === userId)
    const path = `${FED}/user/devices/${encodeURIComponent(alice.userId)}`
    const fetched = await asking.get(alpha, path)
    expect(fetched).toMatchObject({ status: 200, body: { user_id: alice.userId, devices: [] } })
    const keys = await publish(alice)
    await expect.poll(() => about(alice.userId).length, IN_TIME).toBe(1)
    await alice.api.put(`${V3}/devices/${alice.deviceId}`, { display_name: 'Mine' })
    await expect.poll(() => about(alice.userId).length, IN_TIME).toBe(2)
    const second = await alpha.login(name)
    await publish(second)
    await expect.poll(() => about(alice.userId).length, IN_TIME).toBe(3)
    await second.api.post(`${V3}/logout`, {})
    await expect.poll(() => about(alice.userId).length, IN_TIME).toBe(4)
    const contents = about(alice.userId).map(({ content }) => content)
    expect(contents).toMatchObject([
      { device_id: alice.deviceId, keys },
      { device_id: alice.deviceId, keys, device_display_name: 'Mine' },
      { device_id: second.deviceId, keys: { device_id: second.deviceId } },
      { device_id: second.deviceId, deleted: true },
    ])
    let newest = fetched.body.stream_id
    for (const { stream_id, prev_id } of contents) {
      expect(prev_id).toEqual([newest])
      expect(stream_id).not.toEqual(newest)
      newest = stream_id
    }
    const { body } = await asking.get(alpha, path)
    const device = { device_id: alice.deviceId, keys, device_display_name: 'Mine' }
    expect(body).toEqual({ user_id: alice.userId, stream_id: newest, devices: [device] })

    const { master_key, self_signing_key, user_signing_key } = identityUpload(alice.userId, newIdentity())
    const upload = { master_key, self_signing_key, user_signing_key }
    await good(alice.api.post(`${V3}/keys/device_signing/upload`, upload))
    await expect
      .poll(() => about(alice.userId)[4], IN_TIME)
      .toEqual({
        edu_type: 'm.signing_key_update',
        content: { user_id: alice.userId, master_key, self_signing_key },
      })
  }, 60_000)

  it('tells a server that a user comes to in its room that there are devices', async () => {
    const { eve } = await pair()
    const bob = await alpha.register(`bob${count}`)
    await publish(bob)
    const roomId = await newRoom(await alpha.register(`host${count}`), { preset: 'public_chat' })
    await asking.join(alpha, roomId, eve)
    expect(edus.filter(({ content }) => content.user_id === bob.userId)).toEqual([])
    await good(bob.api.post(`${V3}/join/${encodeURIComponent(roomId)}`, {}))
    const told = () => edus.filter(({ content }) => content.user_id === bob.userId).map(({ content }) => content)
    await expect.poll(told, IN_TIME).toMatchObject([{ device_id: bob.deviceId, keys: { device_id: bob.deviceId } }])
  }, 60_000)
})

describe('server-server-api §POST /user/keys/query, /user/keys/claim, GET /user/devices', () => {
  const query = (userId: string) =>
    asking.ask(alpha, 'POST', `${FED}/user/keys/query`, { device_keys: { [userId]: [] } })
  const claim = (userId: string, deviceId: string) =>
    asking.ask(alpha, 'POST', `${FED}/user/keys/claim`, {
      one_time_keys: { [userId]: { [deviceId]: 'signed_curve25519' } },
    })

  it('give devices, master and self-signing keys, never the user-signing key or one that a user signed', async () => {
    const { alice } = await pair()
    const keys = await publish(alice, ['A'])
    const upload = identityUpload(alice.userId, newIdentity())
    await good(alice.api.post(`${V3}/keys/device_signing/upload`, upload))
    expect(await query(alice.userId)).toMatchObject({
      status: 200,
      body: {
        device_keys: { [alice.userId]: { [alice.deviceId]: { ...keys, unsigned: {} } } },
        master_keys: { [alice.userId]: upload.master_key },
        self_signing_keys: { [alice.userId]: upload.self_signing_key },
      },
    })
    const { body } = await asking.get(alpha, `${FED}/user/devices/${encodeURIComponent(alice.userId)}`)
    expect(body).toMatchObject({ master_key: upload.master_key, self_signing_key: upload.self_signing_key })
    for (const answer of [body, (await query(alice.userId)).body]) {
      expect(JSON.stringify(answer)).not.toContain('user_signing')
    }
    const first = await claim(alice.userId, alice.deviceId)
    const ofAlice = { [alice.deviceId]: { 'signed_curve25519:A': { key: 'key A', signatures: {} } } }
    expect(first.body).toEqual({ one_time_keys: { [alice.userId]: ofAlice } })
    expect((await claim(alice.userId, alice.deviceId)).body).toEqual({ one_time_keys: {} })
  }, 60_000)

  it('know nothing of people who are not there, and refuse to speak of those of other servers', async () => {
    const nobody = '@nobody:alpha.test'
    expect((await query(nobody)).body).toEqual({
      device_keys: { [nobody]: {} },
      master_keys: {},
      self_signing_keys: {},
    })
    expect((await claim(nobody, 'X')).body).toEqual({ one_time_keys: {} })
    expect((await asking.get(alpha, `${FED}/user/devices/${nobody}`)).body).toEqual({
      user_id: nobody,
      stream_id: 0,
      devices: [],
    })
    const refused = { status: 400, body: { errcode: 'M_INVALID_PARAM' } }
    const elsewhere = '@x:third.test'
    expect(await query(elsewhere)).toMatchObject(refused)
    expect(await claim(elsewhere, 'X')).toMatchObject(refused)
    expect(await asking.get(alpha, `${FED}/user/devices/${elsewhere}`)).toMatchObject(refused)
  }, 60_000)
})

describe('server-server-api §Send-to-device messaging, m.direct_to_device in', () => {
  const message = (content: object) =>
    ['m.direct_to_device', { type: 'm.test', message_id: 'one', ...content }] as const
  const textsIn = ({ to_device: part }: DeviceSync) => part?.events.map(({ content }) => content.text) ?? []

  it('delivers each message once, over transactions and restarts, and only from users of the server that sends', async () => {
    const { alice, eve } = await pair()
    const to = (text: string) => ({ messages: { [alice.userId]: { [alice.deviceId]: { text } }, '@x:third.test': {} } })
    await tell(message({ sender: eve, ...to('first') }))
    await tell(message({ sender: eve, ...to('again') }))
    await alpha.restart()
    await tell(message({ sender: eve, ...to('after the restart') }))
    await tell(message({ sender: alice.userId, message_id: 'two', ...to('forged') }))
    await tell(message({ sender: '@x:third.test', message_id: 'three', ...to('forged') }))
    await tell(message({ sender: eve, message_id: 7, ...to('no ID') }))
    await tell(message({ sender: eve, message_id: 'four', messages: { [alice.userId]: 'no devices' } }))
    await tell(message({ sender: eve, message_id: 'five', ...to('last') }))
    const api = alpha.api(alice.accessToken)
    const sync = await good<DeviceSync>(api.get(`${V3}/sync`, { timeout: 0 }))
    expect(textsIn(sync)).toEqual(['first', 'last'])
    expect(sync.to_device?.events[0]).toMatchObject({ type: 'm.test', sender: eve })
    expect(alpha.faults).toEqual([])
  }, 60_000)
})
