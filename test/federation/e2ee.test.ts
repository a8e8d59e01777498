import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../server/index.ts'
import type { Clock } from '../../server/observe/environment.ts'
import { signJson } from '../../server/protocol/signing.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { leave, newRoom } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'
import {
  crossSigningKey,
  type DeviceSync,
  devicesOf,
  follow,
  good,
  identityUpload,
  newIdentity,
  publish,
  queryKeys,
} from './e2ee-people.ts'

/** On a busy machine. */
const IN_TIME = { timeout: 20_000, interval: 50 }
const V3 = '/_matrix/client/v3'
let homes: Homes & { readonly 0: Home; readonly 1: Home; readonly 2: Home }
let [alpha, beta, gamma]: Home[] = []
/** Homes' clocks are ahead of the machine's by so much. */
let aheadMs = 0
const clock: Clock = { now: () => systemClock.now() + aheadMs, after: systemClock.after }
beforeAll(async () => {
  homes = await startHomes(['alpha.test', 'beta.test', 'gamma.test'], { clock })
  ;[alpha, beta, gamma] = [homes[0], homes[1], homes[2]]
}, 60_000)
afterAll(() => homes[Symbol.asyncDispose]())

const via = (roomId: string, person: Person): Promise<unknown> =>
  good(person.api.post(`${V3}/join/${encodeURIComponent(roomId)}`, {}, { via: ['alpha.test'] }))
const now = (home: Home, person: Person): Person => ({ ...person, api: home.api(person.accessToken) })
const hearsOf = (userId: string) => (sync: DeviceSync) => sync.device_lists?.changed?.includes(userId) === true
const send = (from: Person, type: string, messages: object, txnId = String(Math.random())): Promise<unknown> =>
  good(from.api.put(`${V3}/sendToDevice/${type}/${txnId}`, { messages }))

let names = 0
/** Alice on alpha and bob on beta, in one room. */
async function couple(): Promise<{ alice: Person; bob: Person; bobName: string; roomId: string }> {
  names += 1
  const alice = await (alpha as Home).register(`alice${names}`)
  const bobName = `bob${names}`
  const bob = await (beta as Home).register(bobName)
  const roomId = await newRoom(alice, { preset: 'public_chat' })
  await via(roomId, bob)
  return { alice, bob, bobName, roomId }
}

describe('server-server-api §Device Management', () => {
  it('lets people in a shared room see new, renamed and removed devices of each other', async () => {
    const { alice, bob, bobName } = await couple()
    expect(await devicesOf(alice, bob.userId)).toEqual([])
    const sync = await follow(alice)
    // A change may be told twice, so the first word of it need not be that of the newest one.
    const showsOfBob = (shown: object) =>
      expect.poll(async () => (await queryKeys(alice, bob.userId)).device_keys[bob.userId], IN_TIME).toEqual(shown)
    const keys = await publish(bob)
    await sync(hearsOf(bob.userId))
    await showsOfBob({ [bob.deviceId]: { ...keys, unsigned: {} } })

    await bob.api.put(`${V3}/devices/${bob.deviceId}`, { display_name: 'Laptop' })
    await sync(hearsOf(bob.userId))
    const named = { ...keys, unsigned: { device_display_name: 'Laptop' } }
    await showsOfBob({ [bob.deviceId]: named })

    const second = await (beta as Home).login(bobName)
    const ofSecond = await publish(second)
    await sync(hearsOf(bob.userId))
    await showsOfBob({ [bob.deviceId]: named, [second.deviceId]: { ...ofSecond, unsigned: {} } })
    await second.api.post(`${V3}/logout`, {})
    await sync(hearsOf(bob.userId))
    await showsOfBob({ [bob.deviceId]: named })
  }, 60_000)

  it('answers from the copy while the other home is away, and catches up over a restart of both', async () => {
    const { alice, bob, bobName } = await couple()
    await publish(bob)
    expect(await devicesOf(alice, bob.userId)).toEqual([bob.deviceId])
    const sync = await follow(alice)
    homes.cut('alpha.test', 'beta.test')
    const second = await (beta as Home).login(bobName)
    await publish(second)
    expect(await queryKeys(alice, bob.userId)).toMatchObject({
      failures: {},
      device_keys: { [bob.userId]: { [bob.deviceId]: {} } },
    })
    await (beta as Home).restart()
    homes.heal('alpha.test', 'beta.test')
    aheadMs += 3_600_000
    // Whatever is said wakes the queue.
    await good(now(beta as Home, bob).api.put(`${V3}/devices/${bob.deviceId}`, { display_name: 'Here again' }))
    await sync(hearsOf(bob.userId))
    await expect.poll(() => devicesOf(alice, bob.userId), IN_TIME).toEqual([bob.deviceId, second.deviceId].sort())
  }, 60_000)

  it('tells who no longer shares a room, and forgets the copy', async () => {
    const { alice, bob, roomId } = await couple()
    await publish(bob)
    expect(await devicesOf(alice, bob.userId)).toEqual([bob.deviceId])
    const sync = await follow(alice)
    await leave(bob, roomId)
    await sync(({ device_lists: lists }) => lists?.left?.includes(bob.userId) === true)
    homes.cut('alpha.test', 'beta.test')
    await expect.poll(async () => (await queryKeys(alice, bob.userId)).failures, IN_TIME).toHaveProperty(['beta.test'])
    homes.heal('alpha.test', 'beta.test')
    aheadMs += 3_600_000
    await expect.poll(() => devicesOf(alice, bob.userId), IN_TIME).toEqual([bob.deviceId])
  }, 60_000)
})

describe('server-server-api §End-to-End Encryption', () => {
  it('shows master and self-signing keys and signatures on devices, never the user-signing key', async () => {
    const { alice, bob } = await couple()
    const keys = await publish(bob)
    expect(await devicesOf(alice, bob.userId)).toEqual([bob.deviceId])
    const sync = await follow(alice)
    const identity = newIdentity()
    const upload = identityUpload(bob.userId, identity)
    await good(bob.api.post(`${V3}/keys/device_signing/upload`, upload))
    await sync(hearsOf(bob.userId))
    const signed = signJson(keys, bob.userId, identity.selfSigning)
    await good(bob.api.post(`${V3}/keys/signatures/upload`, { [bob.userId]: { [bob.deviceId]: signed } }))
    await expect
      .poll(() => queryKeys(alice, bob.userId), IN_TIME)
      .toMatchObject({
        master_keys: { [bob.userId]: upload.master_key },
        self_signing_keys: { [bob.userId]: upload.self_signing_key },
        user_signing_keys: {},
      })
    await expect
      .poll(
        async () => (await queryKeys(alice, bob.userId)).device_keys[bob.userId]?.[bob.deviceId]?.signatures,
        IN_TIME,
      )
      .toEqual(signed.signatures)
  }, 60_000)

  it('keeps what people sign of keys elsewhere for themselves', async () => {
    const { alice, bob } = await couple()
    const [own, theirs] = [newIdentity(), newIdentity()]
    await good(alice.api.post(`${V3}/keys/device_signing/upload`, identityUpload(alice.userId, own)))
    await good(bob.api.post(`${V3}/keys/device_signing/upload`, identityUpload(bob.userId, theirs)))
    const master = crossSigningKey(bob.userId, 'master', theirs.master)
    const signed = signJson(master, alice.userId, own.userSigning)
    const path = `${V3}/keys/signatures/upload`
    const reply = await alice.api.post(path, { [bob.userId]: { [theirs.master.publicKey]: signed } })
    expect(reply).toMatchObject({ status: 200, body: { failures: {} } })
    expect((await queryKeys(alice, bob.userId)).master_keys[bob.userId]).toEqual(signed)
    expect((await queryKeys(bob, bob.userId)).master_keys[bob.userId]).toEqual(master)
  }, 60_000)

  it('gives each one-time key to one of two homes that claim at once', async () => {
    const { alice, bob, roomId } = await couple()
    const carol = await (gamma as Home).register(`carol${names}`)
    await via(roomId, carol)
    const all = Array.from({ length: 10 }, (_, i) => `K${i}`)
    await publish(bob, all)
    const claim = async (asker: Person): Promise<readonly string[]> => {
      const body = { one_time_keys: { [bob.userId]: { [bob.deviceId]: 'signed_curve25519' } } }
      const reply = await good<{ one_time_keys: Record<string, Record<string, object>> }>(
        asker.api.post(`${V3}/keys/claim`, body),
      )
      return Object.keys(reply.one_time_keys[bob.userId]?.[bob.deviceId] ?? {})
    }
    const claimed = await Promise.all(Array.from({ length: 12 }, (_, i) => claim(i % 2 ? alice : carol)))
    expect(claimed.flat().sort()).toEqual(all.map((name) => `signed_curve25519:${name}`))
  }, 60_000)

  it('names servers that cannot be asked, and answers for the others in time', async () => {
    const { alice, bob } = await couple()
    await publish(bob, ['A'])
    const nobody = '@nobody:nowhere.test'
    const query = { device_keys: { [bob.userId]: [], [nobody]: [], [alice.userId]: [] }, timeout: 5_000 }
    expect((await alice.api.post(`${V3}/keys/query`, query)).body).toMatchObject({
      failures: { 'nowhere.test': { errcode: 'M_UNREACHABLE' } },
      device_keys: { [bob.userId]: { [bob.deviceId]: {} }, [alice.userId]: {} },
    })
    const claim = { [bob.userId]: { [bob.deviceId]: 'signed_curve25519' }, [nobody]: { X: 'signed_curve25519' } }
    expect((await alice.api.post(`${V3}/keys/claim`, { one_time_keys: claim })).body).toMatchObject({
      failures: { 'nowhere.test': { errcode: 'M_UNREACHABLE' } },
      one_time_keys: { [bob.userId]: { [bob.deviceId]: { 'signed_curve25519:A': {} } } },
    })
  }, 60_000)
})

describe('server-server-api §Send-to-device messaging', () => {
  const textsIn = ({ to_device: part }: DeviceSync): readonly unknown[] =>
    part?.events.map(({ type, sender, content }) => [type, sender, content.text]) ?? []

  it('delivers to one device and to all, both ways, and passes over devices that are not there', async () => {
    const { alice, bob, bobName } = await couple()
    const second = await (beta as Home).login(bobName)
    const [ofBob, ofSecond, ofAlice] = [await follow(bob), await follow(second), await follow(alice)]
    const isThere = (sync: DeviceSync): boolean => textsIn(sync).length > 0
    await send(alice, 'm.one', { [bob.userId]: { [second.deviceId]: { text: 'second' }, NONE: { text: 'none' } } })
    expect(textsIn(await ofSecond(isThere))).toEqual([['m.one', alice.userId, 'second']])
    await send(alice, 'm.all', { [bob.userId]: { '*': { text: 'all' }, [bob.deviceId]: { text: 'you' } } })
    expect(textsIn(await ofBob(isThere))).toEqual([['m.all', alice.userId, 'you']])
    expect(textsIn(await ofSecond(isThere))).toEqual([['m.all', alice.userId, 'all']])
    await send(bob, 'm.back', { [alice.userId]: { '*': { text: 'back' } }, '@nobody:alpha.test': { '*': {} } })
    expect(textsIn(await ofAlice(isThere))).toEqual([['m.back', bob.userId, 'back']])
  }, 60_000)

  it('loses and repeats nothing over an outage, a restart and requests that are sent twice', async () => {
    const { alice, bob } = await couple()
    homes.cut('alpha.test', 'beta.test')
    const say = (from: Person, text: string, txnId: string) =>
      send(from, 'm.said', { [bob.userId]: { [bob.deviceId]: { text } } }, txnId)
    for (const text of ['1', '2']) {
      await say(alice, text, text)
      await say(alice, text, text)
    }
    await (alpha as Home).restart()
    aheadMs += 3_600_000
    homes.heal('alpha.test', 'beta.test')
    await say(now(alpha as Home, alice), '2', '2')
    await say(now(alpha as Home, alice), '3', '3')
    const seen: unknown[] = []
    let since: string | undefined
    await expect
      .poll(async () => {
        const query = since === undefined ? { timeout: 0 } : { since, timeout: 200 }
        const sync = await good<DeviceSync>(bob.api.get(`${V3}/sync`, query))
        since = sync.next_batch
        seen.push(...textsIn(sync).map((entry) => (entry as unknown[])[2]))
        return seen
      }, IN_TIME)
      .toEqual(['1', '2', '3'])
  }, 60_000)

  it('splits what is too long for one EDU', async () => {
    const { alice, bob, bobName } = await couple()
    const devices = [bob, await (beta as Home).login(bobName), await (beta as Home).login(bobName)]
    const syncs = await Promise.all(devices.map((device) => follow(device)))
    const text = 'x'.repeat(40_000)
    const messages = Object.fromEntries(devices.map(({ deviceId }) => [deviceId, { text }]))
    await send(alice, 'm.long', { [bob.userId]: messages })
    for (const sync of syncs) {
      expect(textsIn(await sync((answer) => textsIn(answer).length > 0))).toEqual([['m.long', alice.userId, text]])
    }
  }, 60_000)
})
