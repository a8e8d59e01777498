/**
 * Every endpoint that is mounted, called by somebody who may not: without a token, with a wrong one, as a locked user, and for
 * what belongs to another person. Driven from the specification's OpenAPI files and our declarations, so that an endpoint is
 * covered from the day it is mounted; where another answer than 403 or 404 is right, a table says why.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AppserviceRig } from '../appservices/rig.ts'
import { deliberatelyUnknown } from '../contract/deviations.ts'
import { registerAdmin } from '../support/admin.ts'
import { isMounted, listAllOperations } from '../support/operations.ts'
import { makeOwnedWorld, type OwnedWorld } from '../support/owned-world.ts'
import { join } from '../support/room-calls.ts'
import { sampleOf } from '../support/sample.ts'
import type { Operation } from '../support/spec.ts'
import type { Person, TestServer } from '../support/test-server.ts'

/** Path parameters that name something of somebody's. */
const OWNED = new Set(
  'userId deviceId roomId roomIdOrAlias roomAlias eventId filterId version sessionId mediaId delayId token reportId tag ruleId'.split(
    ' ',
  ),
)
/** Path parameters that name nothing of anybody's by themselves. */
const NEUTRAL = new Set(
  'type appserviceId networkId serverName pattern fileName keyName kind receiptType txnId relType eventType stateKey idpId protocol action'.split(
    ' ',
  ),
)

/** Where a stranger gets another answer than 403 or 404, and why that is right. */
const otherwise: Readonly<Record<string, readonly [status: number, why: string]>> = {
  deleteDevice: [401, 'It asks for the password first; what follows is tested below.'],
  getContentAuthed: [200, 'Media are for everybody who knows their address.'],
  getContentOverrideNameAuthed: [200, 'Media are for everybody who knows their address.'],
  getContentThumbnailAuthed: [400, 'Media are for everybody who knows their address; this one is no picture.'],
  getProfileField: [200, 'Profiles are public.'],
  getRoomIdByAlias: [200, 'An alias is public.'],
  getRoomVisibilityOnDirectory: [200, 'The directory is public: it says that the room is not in it.'],
  getUserProfile: [200, 'Profiles are public.'],
  reportRoom: [200, 'Who reports need not be in the room, and must not learn whether there is one.'],
  reportUser: [200, 'Everybody may report everybody.'],
  setPushRule: [200, 'It makes a rule of the caller’s own, of the same name.'],
}

/** Bodies that name another person's things, or that the request needs to get as far as being refused. */
const bodies: Readonly<Record<string, (world: OwnedWorld) => unknown>> = {
  purgeHistory: (of) => ({ event_id: of.pathValue('eventId', 'purgeHistory') }),
  setRoomAlias: () => ({ room_id: '!elsewhere:hearth.test' }),
}

const operations = await listAllOperations()
const ownersIn = (operation: Operation): readonly string[] =>
  operation.parameters.filter(({ in: place, name }) => place === 'path' && OWNED.has(name)).map(({ name }) => name)

let rig: AppserviceRig
let server: TestServer
let world: OwnedWorld
let shared: OwnedWorld
let mallory: Person
let locked: Person
beforeAll(async () => {
  rig = await AppserviceRig.start({ url: null })
  server = rig.server
  const root = await registerAdmin(server, 'root')
  world = await makeOwnedWorld(server, await server.register('alice'))
  shared = await makeOwnedWorld(server, await server.register('anna'), { preset: 'public_chat' })
  mallory = await server.register('mallory')
  await join(mallory, shared.pathValue('roomId', ''))
  locked = await server.register('locked')
  const lock = `/_matrix/client/v1/admin/lock/${encodeURIComponent(locked.userId)}`
  expect(await root.api.put(lock, { locked: true })).toMatchObject({ status: 200 })
})
afterAll(() => rig[Symbol.asyncDispose]())

const pictures = new Map<OwnedWorld, string>()
/** What the owner has is what it was when it was looked at last. */
async function expectUnchanged(of: OwnedWorld): Promise<void> {
  const now = await of.picture()
  expect(now).toBe(pictures.get(of) ?? now)
  pictures.set(of, now)
}

/** @returns whether there is anything to be asked for; what is not there has a reason */
async function expectMounted(operation: Operation): Promise<boolean> {
  // The same path as another, which is there.
  const isUnknown = operation.operationId in deliberatelyUnknown && operation.operationId !== 'inviteBy3PID'
  expect(await isMounted(server, operation), 'is mounted').toBe(!isUnknown)
  return !isUnknown
}

let strangers = 0
/** Of their own for each operation, so that none finds what another has made. */
function newStranger(): Promise<Person> {
  strangers += 1
  return server.register(`stranger${strangers}`)
}

interface Answer {
  readonly status: number
  readonly errcode: unknown
  readonly softLogout: unknown
  readonly text: string
}

async function call(operation: Operation, of: OwnedWorld, token: string | undefined): Promise<Answer> {
  const { operationId, method, parameters } = operation
  const url = operation.url.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(of.pathValue(name, operationId)),
  )
  const query = new URLSearchParams(
    parameters
      .filter(({ in: place, required }) => place === 'query' && required)
      .map(({ name, schema }) => [
        name,
        name === 'version' ? of.pathValue(name, operationId) : String(sampleOf(schema)),
      ]),
  )
  const body = bodies[operationId]?.(of) ?? (operation.body ? sampleOf(operation.body.schema) : undefined)
  const response = await server.api(token).fetch(`${url}?${query}`, {
    method,
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && method !== 'GET' && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  expect(response.status, `${method} ${url} → ${text.slice(0, 300)}`).toBeLessThan(500)
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  const { errcode, soft_logout: softLogout } = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>
  return { status: response.status, errcode, softLogout, text }
}

describe('client-server-api §Using access tokens, §Account locking', () => {
  const guarded = operations.filter(({ auth, operationId }) => auth !== 'none' && operationId !== 'getVersions')
  it.each(guarded.map((operation) => [operation.operationId, operation] as const))(
    '%s is for people with a good token, who are not locked',
    async (operationId, operation) => {
      if (!(await expectMounted(operation))) return
      await expectUnchanged(world)
      const wrong = await call(operation, world, 'wrong')
      expect(wrong).toMatchObject({ status: 401, errcode: 'M_UNKNOWN_TOKEN' })
      if (operation.auth !== 'accessToken?') {
        expect(await call(operation, world, undefined)).toMatchObject({ status: 401, errcode: 'M_MISSING_TOKEN' })
      }
      await expectUnchanged(world)
      // The two that a locked user may call: test/api/admin.
      if (operationId === 'logout' || operationId === 'logout_all') return
      const expected =
        operation.auth === 'appserviceAccessToken'
          ? { status: 403, errcode: 'M_FORBIDDEN' }
          : { status: 401, errcode: 'M_USER_LOCKED', softLogout: true }
      expect(await call(operation, world, locked.accessToken)).toMatchObject(expected)
      await expectUnchanged(world)
    },
  )
})

describe('what belongs to another person stays theirs', () => {
  it('is all in the picture that is compared: what the owner changes is seen', async () => {
    const { owner, pathValue, picture } = await makeOwnedWorld(server, await server.register('olga'))
    const user = `/_matrix/client/v3/user/${encodeURIComponent(owner.userId)}`
    const room = `${user}/rooms/${encodeURIComponent(pathValue('roomId', ''))}`
    const changes = [
      () => owner.api.put(`${user}/account_data/org.example.diary`, { text: 'torn out' }),
      () => owner.api.delete(`${room}/tags/m.favourite`),
      () => owner.api.put(`/_matrix/client/v3/devices/${owner.deviceId}`, { display_name: 'Other' }),
      () => owner.api.delete('/_matrix/client/v3/pushrules/global/underride/org.example.mine'),
      () => owner.api.delete('/_matrix/client/v3/room_keys/keys', undefined, { version: pathValue('version', '') }),
      () => owner.api.delete(`/_matrix/client/v3/directory/room/${encodeURIComponent(pathValue('roomAlias', ''))}`),
    ]
    const pictures = [await picture()]
    for (const change of changes) {
      expect(await change()).toMatchObject({ status: 200 })
      pictures.push(await picture())
    }
    expect(new Set(pictures).size).toBe(changes.length + 1)
  })

  it('knows of each path parameter whether it names something of somebody’s', () => {
    const names = operations.flatMap(({ parameters }) => parameters.filter(({ in: place }) => place === 'path'))
    expect(names.map(({ name }) => name).filter((name) => !OWNED.has(name) && !NEUTRAL.has(name))).toEqual([])
  })

  const named = operations.filter((operation) => ownersIn(operation).length > 0)
  it.each(named.map((operation) => [operation.operationId, operation] as const))(
    '%s',
    async (operationId, operation) => {
      if (!(await expectMounted(operation))) return
      await expectUnchanged(world)
      const answer = await call(operation, world, (await newStranger()).accessToken)
      await expectUnchanged(world)
      const right = otherwise[operationId]
      if (right) expect(answer, right[1]).toMatchObject({ status: right[0] })
      else {
        expect([403, 404], answer.text.slice(0, 300)).toContain(answer.status)
        expect(String(answer.errcode)).toMatch(/^M_/)
      }
      expect(server.complaints).toEqual([])
    },
  )
})

describe('what is named in a body or a query and belongs to another person', () => {
  const V3 = '/_matrix/client/v3'
  const ownPassword = (person: Person) => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: person.userId },
    password: `password of ${person.userId.slice(1).replace(/:.*/, '')}`,
  })
  async function unchanged<T>(work: (stranger: Person) => Promise<T>): Promise<T> {
    await expectUnchanged(world)
    const result = await work(await newStranger())
    await expectUnchanged(world)
    return result
  }

  it('keeps its device, whoever’s password is given', async () => {
    const { deviceId } = world.owner
    await unchanged(async (stranger) => {
      const auth = ownPassword(stranger)
      expect((await stranger.api.delete(`${V3}/devices/${deviceId}`, { auth })).status).toBeLessThan(500)
      expect((await stranger.api.post(`${V3}/delete_devices`, { devices: [deviceId], auth })).status).toBeLessThan(500)
      const asOwner = { auth: { ...auth, identifier: { type: 'm.id.user', user: world.owner.userId } } }
      expect((await stranger.api.delete(`${V3}/devices/${deviceId}`, asOwner)).status).toBeGreaterThanOrEqual(401)
    })
  })

  it('keeps its keys: signatures that only the owner may make are refused one by one', async () => {
    const { userId, deviceId } = world.owner
    const signed = { user_id: userId, device_id: deviceId, keys: {}, algorithms: [], signatures: {} }
    const reply = await unchanged((stranger) =>
      stranger.api.post(`${V3}/keys/signatures/upload`, { [userId]: { [deviceId]: signed } }),
    )
    expect(reply).toMatchObject({ status: 200, body: { failures: { [userId]: { [deviceId]: {} } } } })
  })

  it('is not found by a search, in a sync, or by a filter of the same ID', async () => {
    const roomId = world.pathValue('roomId', '')
    const rooms = [roomId]
    await unchanged(async ({ api }) => {
      const criteria = { search_term: 'secret', filter: { rooms } }
      const found = await api.post(`${V3}/search`, { search_categories: { room_events: criteria } })
      expect(found.status === 200 ? JSON.stringify(found.body) : '').not.toContain('a secret')
      const synced = await api.get(`${V3}/sync`, { filter: JSON.stringify({ room: { rooms } }) })
      expect(synced.status).toBe(200)
      expect(JSON.stringify(synced.body)).not.toContain(roomId)
      const filterId = world.pathValue('filterId', '')
      expect((await api.get(`${V3}/sync`, { filter: filterId })).status).toBeGreaterThanOrEqual(400)
    })
  })

  it('has transactions of its own: the same ID from another person is another event', async () => {
    const path = `${V3}/rooms/${encodeURIComponent(shared.pathValue('roomId', ''))}/send/m.room.message/same`
    const content = { msgtype: 'm.text', body: 'hello' }
    const theirs = await shared.owner.api.put<{ event_id: string }>(path, content)
    const mine = await mallory.api.put<{ event_id: string }>(path, content)
    expect([theirs.status, mine.status]).toEqual([200, 200])
    expect(mine.body.event_id).not.toBe(theirs.body.event_id)
  })
})

describe('who is in the same room has no more of another person’s own things', () => {
  const named = operations.filter((operation) =>
    ['userId', 'roomId'].every((name) => ownersIn(operation).includes(name)),
  )
  it.each(named.map((operation) => [operation.operationId, operation] as const))('%s', async (_id, operation) => {
    await expectUnchanged(shared)
    expect(await call(operation, shared, mallory.accessToken)).toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
    await expectUnchanged(shared)
  })
})
