/**
 * Every endpoint of the client-server API, called as it is meant to be, in a small world: its 200 is held against the
 * specification's schema. Driven from the OpenAPI files: an endpoint without a call that succeeds fails here, or has a reason below.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'
import { deliberatelyUnknown } from '../contract/deviations.ts'
import { registerAdmin } from '../support/admin.ts'
import { TestAppservice } from '../support/app-service.ts'
import { type MailHome, startMailHome } from '../support/mail-home.ts'
import { isMounted } from '../support/operations.ts'
import { makeOwnedWorld, type OwnedWorld } from '../support/owned-world.ts'
import { act, join, leave, setState } from '../support/room-calls.ts'
import { sampleOf } from '../support/sample.ts'
import { listOperations, type Operation } from '../support/spec.ts'
import { faultsOfReply } from '../support/spec-schema.ts'
import type { Person, TestServer } from '../support/test-server.ts'

const V3 = '/_matrix/client/v3'

/** Who and what is there for one call; all of it its own. */
interface Scene {
  readonly world: OwnedWorld
  readonly roomId: string
  /** In the room. */
  readonly bob: Person
  /** Not in it. */
  readonly carol: Person
  /** For UIA. */
  readonly auth: object
  readonly email: string
}

/** What a call has that is not taken from the specification's examples and the owner's things. */
interface Wish {
  readonly token?: string
  readonly path?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
}

const bytes = 'bytes'
const things = new AsyncDisposableStack()
let home: MailHome
let server: TestServer
let service: TestAppservice
let root: Person
let count = 0

const confirmedEmail = async (path: string, email: string): Promise<object> => {
  const session = await home.ask(path, email)
  await home.openLink()
  return session
}
const emailOf = async ({ world, email, auth }: Scene): Promise<void> => {
  const session = await confirmedEmail(`${V3}/account/3pid/email/requestToken`, email)
  expect(await world.owner.api.post(`${V3}/account/3pid/add`, { ...session, auth })).toMatchObject({ status: 200 })
}
const mail = (email: string): Wish => ({ body: { client_secret: 'secret', email, send_attempt: 1 } })
const asService = (): Wish => ({ token: service.asToken, path: { appserviceId: service.id } })

const wishes: Readonly<Record<string, (scene: Scene) => Wish | Promise<Wish>>> = {
  add3PID: async ({ email, auth }) => ({
    body: { ...(await confirmedEmail(`${V3}/account/3pid/email/requestToken`, email)), auth },
  }),
  ban: ({ bob }) => ({ body: { user_id: bob.userId } }),
  changePassword: ({ auth }) => ({ body: { auth, new_password: 'another long password' } }),
  checkUsernameAvailability: () => ({ query: { username: 'nobody.yet' } }),
  claimKeys: ({ bob }) => ({ body: { one_time_keys: { [bob.userId]: { [bob.deviceId]: 'signed_curve25519' } } } }),
  createRoom: () => ({ body: {} }),
  deactivateAccount: ({ auth }) => ({ body: { auth } }),
  delete3pidFromAccount: async (scene) => {
    await emailOf(scene)
    return { body: { medium: 'email', address: scene.email } }
  },
  deleteDevice: ({ auth }) => ({ body: { auth } }),
  deleteDevices: ({ auth, world }) => ({ body: { auth, devices: [world.owner.deviceId] } }),
  forgetRoom: async ({ bob, roomId }) => {
    await leave(bob, roomId)
    return { token: bob.accessToken }
  },
  generateLoginToken: ({ auth }) => ({ body: { auth } }),
  getAdminLockUser: ({ bob }) => ({ token: root.accessToken, path: { userId: bob.userId } }),
  getAdminSuspendUser: ({ bob }) => ({ token: root.accessToken, path: { userId: bob.userId } }),
  getEventByTimestamp: () => ({ query: { ts: '0', dir: 'f' } }),
  getKeysChanges: async ({ world }) => {
    const { next_batch } = (await world.owner.api.get<{ next_batch: string }>(`${V3}/sync`)).body
    return { query: { from: next_batch, to: next_batch } }
  },
  getMutualRooms: ({ bob }) => ({ query: { user_id: bob.userId } }),
  getUrlPreview: () => ({ query: { url: service.url } }),
  getUrlPreviewAuthed: () => ({ query: { url: service.url } }),
  inviteUser: ({ carol }) => ({ body: { user_id: carol.userId } }),
  joinRoom: ({ carol }) => ({ token: carol.accessToken }),
  joinRoomById: ({ carol }) => ({ token: carol.accessToken }),
  kick: ({ bob }) => ({ body: { user_id: bob.userId } }),
  knockRoom: async ({ carol, world, roomId }) => {
    await setState(world.owner, roomId, 'm.room.join_rules', { join_rule: 'knock' })
    return { token: carol.accessToken }
  },
  login: ({ auth }) => ({ body: auth }),
  pingAppservice: asService,
  queryKeys: ({ bob }) => ({ body: { device_keys: { [bob.userId]: [] } } }),
  queryLocationByAlias: () => ({ query: { alias: '#_irc_a:hearth.test' } }),
  queryUserByID: () => ({ query: { userid: '@_irc_a:hearth.test' } }),
  queryPublicRooms: () => ({ body: {} }),
  redirectToSSO: () => ({ query: { redirectUrl: 'https://chat.example/' } }),
  refresh: async ({ auth }) => {
    const { body } = await server.api().post<{ refresh_token: string }>(`${V3}/login`, { ...auth, refresh_token: true })
    return { body: { refresh_token: body.refresh_token } }
  },
  register: () => ({ body: { username: 'newcomer', password: 'a long password', auth: { type: 'm.login.dummy' } } }),
  requestTokenTo3PIDEmail: ({ email }) => mail(email),
  requestTokenToRegisterEmail: ({ email }) => mail(email),
  requestTokenToResetPasswordEmail: async (scene) => {
    await emailOf(scene)
    return mail(scene.email)
  },
  search: () => ({ body: { search_categories: { room_events: { search_term: 'secret' } } } }),
  sendToDevice: ({ bob }) => ({ body: { messages: { [bob.userId]: { [bob.deviceId]: {} } } } }),
  setAdminLockUser: ({ bob }) => ({ token: root.accessToken, path: { userId: bob.userId } }),
  setAdminSuspendUser: ({ bob }) => ({ token: root.accessToken, path: { userId: bob.userId } }),
  setPushRule: () => ({ path: { kind: 'content', ruleId: 'new' } }),
  setReadMarker: ({ world }) => ({ body: { 'm.fully_read': world.pathValue('eventId', '') } }),
  setRoomAlias: ({ roomId }) => ({ path: { roomAlias: '#new:hearth.test' }, body: { room_id: roomId } }),
  setRoomStateWithKey: () => ({ body: { name: 'New' } }),
  sync: () => ({ query: { full_state: 'true' } }),
  unban: async ({ bob, roomId, world }) => {
    await act(world.owner, 'ban', roomId, bob)
    return { body: { user_id: bob.userId } }
  },
  updateAppserviceRoomDirectoryVisibility: asService,
  upgradeRoom: () => ({ body: { new_version: '12' } }),
  uploadContent: () => ({ body: bytes }),
  uploadContentToMXC: () => ({ body: bytes }),
  uploadCrossSigningKeys: ({ auth, world: { owner } }) => {
    const { publicKey } = makeSigningKey(Buffer.alloc(32, 7), 'master')
    const keys = { [`ed25519:${publicKey}`]: publicKey }
    return { body: { auth, master_key: { user_id: owner.userId, usage: ['master'], keys } } }
  },
  uploadCrossSigningSignatures: () => ({ body: {} }),
}

type Refusal = readonly [status: number, errcode: string]

/** Without a 200 that could be had here; what they answer instead says why. */
const without: Readonly<Record<string, Refusal>> = {
  ...Object.fromEntries(Object.keys(deliberatelyUnknown).map((id) => [id, [404, 'M_UNRECOGNIZED'] as const])),
  // No identity server is trusted here.
  bind3PID: [400, 'M_SERVER_NOT_TRUSTED'],
  inviteBy3PID: [403, 'M_THREEPID_DENIED'],
  post3PIDs: [403, 'M_THREEPID_AUTH_FAILED'],
  // This server is no policy server.
  getWellknownPolicy: [404, 'M_NOT_FOUND'],
  // It sends no SMS.
  requestTokenTo3PIDMSISDN: [400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED'],
  requestTokenToRegisterMSISDN: [403, 'M_THREEPID_DENIED'],
  requestTokenToResetPasswordMSISDN: [403, 'M_THREEPID_DENIED'],
}

const noMedia: Refusal = [404, 'M_NOT_FOUND']
/** What answers with bytes, or sends elsewhere, which `media.test.ts` and `oauth/pages.test.ts` go into. */
const notJson: Readonly<Record<string, number | Refusal>> = {
  // Frozen: `media-deprecated.test.ts`.
  getContent: noMedia,
  getContentOverrideName: noMedia,
  getContentThumbnail: noMedia,
  getContentAuthed: 200,
  getContentOverrideNameAuthed: 200,
  // The media there is no picture.
  getContentThumbnailAuthed: [400, 'M_UNKNOWN'],
  // There are no identity providers.
  redirectToIdP: [404, 'M_NOT_FOUND'],
  redirectToSSO: 302,
}

const described = listOperations('client-server').filter(({ reply }) => reply !== undefined)

beforeAll(async () => {
  const folder = await mkdtemp(joinPath(tmpdir(), 'hearth-answers-'))
  things.defer(() => rm(folder, { recursive: true, force: true }))
  service = things.use(await TestAppservice.start())
  service.answer = ({ path }) => {
    if (path.includes('/thirdparty/protocol/')) {
      const instance = { desc: 'Net', icon: 'mxc://hearth.test/a', fields: {}, network_id: 'net' }
      const body = { user_fields: [], location_fields: [], icon: 'mxc://hearth.test/a', field_types: {} }
      return { status: 200, body: { ...body, instances: [instance] } }
    }
    if (path.includes('/thirdparty/location')) {
      return { status: 200, body: [{ alias: '#a:hearth.test', protocol: 'irc', fields: {} }] }
    }
    if (path.includes('/thirdparty/user')) {
      return { status: 200, body: [{ userid: '@irc_a:hearth.test', protocol: 'irc', fields: {} }] }
    }
    return { status: 200, body: {} }
  }
  const application_services_dir = await service.register(folder, { protocols: ['irc'] })
  const support = { contacts: [{ role: 'm.role.admin', matrix_id: '@owner:hearth.test' }] }
  home = await startMailHome(
    { config: { application_services_dir, support, url_previews: { enabled: true } } },
    (work) => things.defer(work),
  )
  things.use(home)
  server = home.server
  root = await registerAdmin(server, 'root')
})
afterAll(() => things.disposeAsync())

async function newScene(): Promise<Scene> {
  count += 1
  const [alice, bob, carol] = await Promise.all(
    ['alice', 'bob', 'carol'].map((name) => server.register(`${name}${count}`)),
  )
  if (!alice || !bob || !carol) throw new Error('three people are needed')
  const world = await makeOwnedWorld(server, alice, { preset: 'public_chat', room_version: '11' })
  const roomId = world.pathValue('roomId', '')
  await join(bob, roomId)
  const identifier = { type: 'm.id.user', user: alice.userId }
  const auth = { type: 'm.login.password', identifier, password: `password of alice${count}` }
  return { world, roomId, bob, carol, auth, email: `alice${count}@example.org` }
}

async function answer(operation: Operation): Promise<{ status: number; body: unknown }> {
  const { operationId, method, parameters, body: wanted } = operation
  const scene = await newScene()
  const wish = (await wishes[operationId]?.(scene)) ?? {}
  const url = operation.url.replace(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(wish.path?.[name] ?? scene.world.pathValue(name, operationId)),
  )
  const query = new URLSearchParams({
    ...Object.fromEntries(
      parameters
        .filter(({ in: place, required }) => place === 'query' && required)
        .map(({ name, schema }) => [
          name,
          name === 'version' ? scene.world.pathValue(name, operationId) : String(sampleOf(schema)),
        ]),
    ),
    ...wish.query,
  })
  const body = wish.body ?? (wanted ? sampleOf(wanted.schema) : undefined)
  const isJson = body !== bytes
  const response = await server.api(wish.token ?? scene.world.owner.accessToken).fetch(`${url}?${query}`, {
    method,
    redirect: 'manual',
    headers: { 'content-type': isJson ? 'application/json' : 'text/plain' },
    ...(body !== undefined && method !== 'GET' && { body: isJson ? JSON.stringify(body) : bytes }),
  })
  const text = await response.text()
  const hasJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, body: hasJson ? (JSON.parse(text) as unknown) : text }
}

const expectRefusal = async (operation: Operation, [status, errcode]: Refusal): Promise<void> => {
  const wanted = { status, body: { errcode } }
  expect({ id: operation.operationId, ...(await answer(operation)) }).toMatchObject(wanted)
}

describe('client-server-api, the 200 of every endpoint fits its schema', () => {
  it.each(described.map((operation) => [operation.operationId, operation] as const))('%s', async (id, operation) => {
    if (id in without) return
    expect(await isMounted(server, operation), 'mounted').toBe(true)
    const { status, body } = await answer(operation)
    expect([status, body]).toEqual([200, expect.anything()])
    expect(faultsOfReply(id, body)).toEqual([])
    expect(server.complaints).toEqual([])
  })

  it('is JSON of all but those that answer with bytes or send elsewhere', async () => {
    const others = listOperations('client-server').filter(({ reply }) => reply === undefined)
    expect(others.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(notJson).sort())
    for (const operation of others) {
      const expected = notJson[operation.operationId]
      if (typeof expected === 'object') await expectRefusal(operation, expected)
      else expect([operation.operationId, (await answer(operation)).status]).toEqual([operation.operationId, expected])
    }
  })

  it('is to be had of all but those that are refused with their reason', async () => {
    expect(Object.keys(without).filter((id) => !described.some(({ operationId }) => operationId === id))).toEqual([])
    for (const operation of described) {
      const refusal = without[operation.operationId]
      if (refusal) await expectRefusal(operation, refusal)
    }
  })
})
