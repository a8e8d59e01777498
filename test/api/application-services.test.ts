/** What application services may do through the client API, and others may not. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AppserviceRig } from '../appservices/rig.ts'
import { registerAdmin } from '../support/admin.ts'
import type { Api } from '../support/api.ts'
import { history, join, newRoom, roomPath } from '../support/room-calls.ts'
import type { Person } from '../support/test-server.ts'

const V3 = '/_matrix/client/v3'
const AS = 'm.login.application_service'
const e = encodeURIComponent
const aliasPath = (alias: string): string => `${V3}/directory/room/${e(alias)}`

let rig: AppserviceRig
let bot: Api
let nobody: Api
let alice: Person
let count = 0
const fresh = (): string => {
  count += 1
  return `_irc_user${count}`
}

beforeAll(async () => {
  rig = await AppserviceRig.start({
    rate_limited: false,
    protocols: ['irc'],
    namespaces: {
      users: [
        { exclusive: true, regex: '@_irc_.*' },
        { exclusive: false, regex: '@shared_.*' },
      ],
      aliases: [{ exclusive: true, regex: '#_irc_.*' }],
      rooms: [],
    },
  })
  bot = rig.service.api(rig.server)
  nobody = rig.server.api()
  alice = await rig.server.register('alice')
})
afterAll(() => rig[Symbol.asyncDispose]())
beforeEach(() => {
  rig.service.answer = () => undefined
})

const whoami = (api: Api, query: Record<string, string> = {}) => api.get(`${V3}/account/whoami`, query)
const register = (username: string | undefined, rest: object = {}, api = bot) =>
  api.post(`${V3}/register`, { type: AS, username, ...rest })
const logIn = (user: string, rest: object = {}, api = bot) =>
  api.post(`${V3}/login`, { type: AS, identifier: { type: 'm.id.user', user }, ...rest })

describe('application-service-api §Identity assertion', () => {
  it('takes the as_token for the user of sender_localpart, who is there from the start', async () => {
    expect(await whoami(bot)).toMatchObject({
      status: 200,
      body: { user_id: '@_irc_bot:hearth.test', is_guest: false },
    })
    expect((await whoami(bot)).body).not.toHaveProperty('device_id')
    expect(await whoami(nobody, { access_token: rig.service.asToken })).toMatchObject({
      body: { user_id: '@_irc_bot:hearth.test' },
    })
  })

  it('lets it act as its registered users, and as nobody else', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    expect(await whoami(bot, { user_id: ghost.userId })).toMatchObject({ body: { user_id: ghost.userId } })
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    expect(await whoami(bot, { user_id: alice.userId })).toMatchObject(refused)
    expect(await whoami(bot, { user_id: '@_irc_unregistered:hearth.test' })).toMatchObject(refused)
    expect(await whoami(bot, { user_id: '@_irc_bot:elsewhere.test' })).toMatchObject(refused)
    expect(await whoami(bot, { user_id: 'nonsense' })).toMatchObject({ status: 400 })
    // A person's own token names the person, whatever the query says.
    expect(await whoami(alice.api, { user_id: ghost.userId })).toMatchObject({ body: { user_id: alice.userId } })
  })

  it.each(['device_id', 'org.matrix.msc3202.device_id'])('acts as a device by %s', async (key) => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    expect(await whoami(bot, { user_id: ghost.userId, [key]: 'NONE' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_UNKNOWN_DEVICE' },
    })
    await ghost.api.put(`${V3}/devices/BRIDGE`, {})
    expect(await whoami(bot, { user_id: ghost.userId, [key]: 'BRIDGE' })).toMatchObject({
      status: 200,
      body: { user_id: ghost.userId, device_id: 'BRIDGE' },
    })
  })

  it('does not open what needs a device to a user without one', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    expect(await ghost.api.post(`${V3}/keys/upload`, { one_time_keys: {} })).toMatchObject({ status: 403 })
  })

  it('serves a user without a device whatever needs none', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    const roomId = await newRoom(ghost, { preset: 'public_chat' })
    await join(alice, roomId)
    const first = await ghost.api.get<{ next_batch: string; rooms: { join: object } }>(`${V3}/sync`)
    expect(first.status).toBe(200)
    expect(Object.keys(first.body.rooms.join)).toEqual([roomId])
    const since = { since: first.body.next_batch, timeout: 0 }
    const me = e(ghost.userId)
    const answers = await Promise.all([
      ghost.api.get(`${V3}/sync`, since),
      ghost.api.get(`${V3}/joined_rooms`),
      ghost.api.get(`${V3}/pushrules/`),
      ghost.api.get(`${V3}/devices`),
      ghost.api.put(`${V3}/profile/${me}/displayname`, { displayname: 'Ghost' }),
      ghost.api.put(`${V3}/user/${me}/account_data/org.bridge`, { network: 'irc' }),
      ghost.api.put(`${V3}/presence/${me}/status`, { presence: 'online' }),
      ghost.api.put(roomPath(roomId, `/typing/${me}`), { typing: true, timeout: 1_000 }),
      ghost.api.post(`${V3}/keys/query`, { device_keys: { [alice.userId]: [] } }),
      ghost.api.post(`${V3}/user/${me}/filter`, {}),
      ghost.api.put(`${V3}/sendToDevice/m.test/1`, { messages: { [alice.userId]: { '*': { text: 'hi' } } } }),
      ghost.api.post(`${V3}/logout`),
    ])
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(rig.server.complaints).toEqual([])
  })

  it('keeps a locked user out, whose application service acts for it', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    const { api: admin } = await registerAdmin(rig.server, 'admin')
    const lock = (locked: boolean) => admin.put(`/_matrix/client/v1/admin/lock/${e(ghost.userId)}`, { locked })
    expect((await lock(true)).status).toBe(200)
    expect(await whoami(bot, { user_id: ghost.userId })).toMatchObject({
      status: 401,
      body: { errcode: 'M_USER_LOCKED' },
    })
    await lock(false)
    expect((await whoami(bot, { user_id: ghost.userId })).status).toBe(200)
  })
})

describe('client-server-api §GET /rooms/{roomId}/joined_members', () => {
  it('tells an application service who is joined where any of its users is, and nowhere else', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    const members = (by: Api, roomId: string, query: Record<string, string> = {}) =>
      by.get<{ joined: object }>(roomPath(roomId, '/joined_members'), query)
    const withGhost = await newRoom(alice, { preset: 'public_chat' })
    await join(ghost, withGhost)
    const { status, body } = await members(bot, withGhost)
    expect([status, Object.keys(body.joined).sort()]).toEqual([200, [ghost.userId, alice.userId].sort()])
    const other = await rig.service.newUser(rig.server, fresh())
    expect((await members(bot, withGhost, { user_id: other.userId })).status).toBe(200)
    const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } }
    const without = await newRoom(alice, { preset: 'public_chat' })
    expect(await members(bot, without)).toMatchObject(refused)
    expect(await members(bot, '!none:hearth.test')).toMatchObject(refused)
    const bob = await rig.server.register(`person${count}`)
    expect(await members(bob.api, withGhost)).toMatchObject(refused)
  })
})

describe('application-service-api §Server admin style permissions', () => {
  it('registers users without password and UIA, with a login or without', async () => {
    const [one, two] = [fresh(), fresh()]
    const plain = await register(one, { inhibit_login: true })
    expect(plain).toMatchObject({ status: 200, body: { user_id: `@${one}:hearth.test` } })
    expect(plain.body).not.toHaveProperty('access_token')
    const withLogin = await register(two, { device_id: 'BRIDGE' })
    expect(withLogin).toMatchObject({ status: 200, body: { device_id: 'BRIDGE' } })
    expect(await whoami(rig.server.api(withLogin.body.access_token as string))).toMatchObject({
      body: { user_id: `@${two}:hearth.test`, device_id: 'BRIDGE' },
    })
    expect(await register(one)).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } })
    expect(await register('shared_one', { inhibit_login: true })).toMatchObject({ status: 200 })
  })

  it('keeps each to its namespaces', async () => {
    const exclusive = { status: 400, body: { errcode: 'M_EXCLUSIVE' } }
    expect(await register('carol')).toMatchObject(exclusive)
    expect(await logIn('alice')).toMatchObject(exclusive)
    expect(await logIn('@bob:elsewhere.test')).toMatchObject(exclusive)
    const dummy = { password: 'long enough to be one', auth: { type: 'm.login.dummy' } }
    expect(await nobody.post(`${V3}/register`, { username: '_irc_mallory', ...dummy })).toMatchObject(exclusive)
    expect(await nobody.post(`${V3}/register`, { username: '_IRC_mallory', ...dummy })).toMatchObject(exclusive)
    expect(await nobody.get(`${V3}/register/available`, { username: '_irc_mallory' })).toMatchObject(exclusive)
    expect(await nobody.post(`${V3}/register`, { username: 'shared_by_people', ...dummy })).toMatchObject({
      status: 200,
    })
  })

  it.each(['register', 'login'])('asks for a valid as_token to %s', async (path) => {
    const body = { type: AS, username: fresh(), identifier: { type: 'm.id.user', user: '_irc_bot' } }
    expect(await nobody.post(`${V3}/${path}`, body)).toMatchObject({
      status: 401,
      body: { errcode: 'M_MISSING_TOKEN' },
    })
    for (const api of [alice.api, rig.server.api('wrong')]) {
      expect(await api.post(`${V3}/${path}`, body)).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
    }
    expect(await register(undefined)).toMatchObject({ status: 400, body: { errcode: 'M_MISSING_PARAM' } })
  })

  it('logs its users in without password', async () => {
    const name = fresh()
    expect(await logIn(name)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    await register(name, { inhibit_login: true })
    for (const user of [name, `@${name}:hearth.test`]) {
      const { status, body } = await logIn(user, { device_id: 'D' })
      expect(status).toBe(200)
      expect(await whoami(rig.server.api(body.access_token as string))).toMatchObject({ body: { device_id: 'D' } })
    }
    expect((await nobody.get<{ flows: unknown[] }>(`${V3}/login`)).body.flows).toContainEqual({ type: AS })
  })

  it('lets nobody else make or remove aliases of its namespace, and it none outside of it', async () => {
    const exclusive = { status: 400, body: { errcode: 'M_EXCLUSIVE' } }
    const roomId = await newRoom(alice, { preset: 'public_chat' })
    const [own, other] = ['#_irc_one:hearth.test', '#plain:hearth.test']
    expect(await alice.api.put(aliasPath(own), { room_id: roomId })).toMatchObject(exclusive)
    expect(await alice.api.post(`${V3}/createRoom`, { room_alias_name: '_irc_two' })).toMatchObject(exclusive)
    await bot.post(`${V3}/join/${e(roomId)}`)
    expect(await bot.put(aliasPath(other), { room_id: roomId })).toMatchObject(exclusive)
    expect(await bot.put(aliasPath(own), { room_id: roomId })).toMatchObject({ status: 200 })
    expect(await alice.api.delete(aliasPath(own))).toMatchObject(exclusive)
    // A body cannot say that an application service asks.
    const claimed = { room_alias_name: '_irc_three', appserviceId: 'irc' }
    expect(await alice.api.post(`${V3}/createRoom`, claimed)).toMatchObject(exclusive)
    expect(await bot.post(`${V3}/createRoom`, { room_alias_name: '_irc_three' })).toMatchObject({ status: 200 })
    expect(await bot.delete(aliasPath(own))).toMatchObject({ status: 200 })
  })

  it('does not take its users for people who live here', async () => {
    const unclaimed = await AppserviceRig.start()
    await unclaimed.service.newUser(unclaimed.server, '_irc_bob')
    expect(unclaimed.server.claimCode()).not.toBeNull()
    expect(await unclaimed.server.api().get('/_hearth/client/v1/home')).toMatchObject({ body: { claimed: false } })
    await unclaimed[Symbol.asyncDispose]()
  })
})

describe('application-service-api §Timestamp massaging', () => {
  it('dates events and state of application services by ts, and of nobody else', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    const roomId = await newRoom(ghost, { preset: 'public_chat' })
    await join(alice, roomId)
    const put = (api: Api, rest: string, ts: number | string, content: object) =>
      api.put(roomPath(roomId, rest), content, { ts })
    expect((await put(ghost.api, '/send/m.room.message/1', 1_234, { msgtype: 'm.text', body: 'old' })).status).toBe(200)
    expect((await put(ghost.api, '/state/m.room.topic/', 2_345, { topic: 'old' })).status).toBe(200)
    const member = { membership: 'join', displayname: 'Ghost' }
    expect((await put(ghost.api, `/state/m.room.member/${e(ghost.userId)}`, 3_456, member)).status).toBe(200)
    expect((await put(alice.api, '/send/m.room.message/2', 1_234, { msgtype: 'm.text', body: 'now' })).status).toBe(200)
    for (const ts of ['never', -1, 2 ** 53, 1.5]) {
      expect(await put(ghost.api, '/send/m.room.message/3', ts, {})).toMatchObject({ status: 400 })
    }
    const dated = (await history(alice, roomId)).slice(-4).map(({ origin_server_ts }) => origin_server_ts)
    expect(dated.slice(0, 3)).toEqual([1_234, 2_345, 3_456])
    expect(dated[3]).toBeGreaterThan(1_600_000_000_000)
  })
})

describe('application-service-api §Device management', () => {
  it('makes and removes devices without UIA, and replaces cross-signing keys', async () => {
    const ghost = await rig.service.newUser(rig.server, fresh())
    const device = `${V3}/devices/BRIDGE`
    expect(await ghost.api.put(device, { display_name: 'Bridge' })).toMatchObject({ status: 201 })
    expect(await ghost.api.put(device, { display_name: 'Renamed' })).toMatchObject({ status: 200 })
    expect(await ghost.api.get(device)).toMatchObject({ body: { device_id: 'BRIDGE', display_name: 'Renamed' } })
    expect(await alice.api.put(device, {})).toMatchObject({ status: 404 })
    for (const key of ['one', 'two']) {
      const public_key = Buffer.alloc(32, key).toString('base64').replace(/=+$/, '')
      const master = { user_id: ghost.userId, usage: ['master'], keys: { [`ed25519:${public_key}`]: public_key } }
      expect(await ghost.api.post(`${V3}/keys/device_signing/upload`, { master_key: master })).toMatchObject({
        status: 200,
      })
    }
    expect(await ghost.api.delete(device)).toMatchObject({ status: 200 })
    await ghost.api.put(device, {})
    expect(await ghost.api.post(`${V3}/delete_devices`, { devices: ['BRIDGE'] })).toMatchObject({ status: 200 })
    expect((await ghost.api.get(`${V3}/devices`)).body).toEqual({ devices: [] })
  })
})

describe('application-service-api §Pinging', () => {
  const ping = (api: Api, id = 'irc') =>
    api.post(`/_matrix/client/v1/appservice/${id}/ping`, { transaction_id: 'meow' })

  it('asks the application service, and tells what came of it', async () => {
    rig.service.answer = ({ path }) => (path === '/_matrix/app/v1/ping' ? { status: 200 } : undefined)
    const { status, body } = await ping(bot)
    expect(status).toBe(200)
    expect(body.duration_ms).toBeGreaterThanOrEqual(0)
    expect(rig.service.requests.at(-1)).toMatchObject({
      method: 'POST',
      authorization: `Bearer ${rig.service.hsToken}`,
      body: { transaction_id: 'meow' },
    })
    rig.service.answer = () => ({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await ping(bot)).toMatchObject({
      status: 502,
      body: { errcode: 'M_BAD_STATUS', status: 403, body: '{"errcode":"M_FORBIDDEN"}' },
    })
  })

  it('is for the application service itself', async () => {
    expect(await ping(bot, 'other')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await ping(alice.api)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await ping(nobody)).toMatchObject({ status: 401, body: { errcode: 'M_MISSING_TOKEN' } })
  })
})

describe('application-service-api §Querying', () => {
  it('asks for an alias that is not there, and goes on when the room has been made', async () => {
    const alias = '#_irc_#parlour:hearth.test'
    rig.service.answer = async ({ path }) => {
      if (path !== `/_matrix/app/v1/rooms/${alias}`) return undefined
      await bot.post(`${V3}/createRoom`, { room_alias_name: '_irc_#parlour', preset: 'public_chat' })
      return { status: 200 }
    }
    expect(await alice.api.post(`${V3}/join/${e(alias)}`)).toMatchObject({ status: 200 })
    expect(await nobody.get(aliasPath('#_irc_unknown:hearth.test'))).toMatchObject({ status: 404 })
    // Transactions about the new room come beside these.
    const asked = () => rig.service.requests.filter(({ path }) => path.startsWith('/_matrix/app/v1/rooms/'))
    expect(asked()).toHaveLength(2)
    expect(await nobody.get(aliasPath('#other:hearth.test'))).toMatchObject({ status: 404 })
    expect(asked()).toHaveLength(2)
  })

  it('asks for a user who is invited, and goes on when they are there', async () => {
    const name = fresh()
    rig.service.answer = async ({ path }) => {
      if (!path.startsWith('/_matrix/app/v1/users/@_irc_user')) return undefined
      await register(name, { inhibit_login: true })
      return { status: 200 }
    }
    const invite = (roomId: string, user_id: string) => alice.api.post(roomPath(roomId, '/invite'), { user_id })
    const roomId = await newRoom(alice)
    expect(await invite(roomId, `@${name}:hearth.test`)).toMatchObject({ status: 200 })
    expect(await invite(roomId, '@_irc_unknown:hearth.test')).toMatchObject({ status: 404 })
    const asked = rig.service.requests.length
    expect(await invite(roomId, '@nobody:hearth.test')).toMatchObject({ status: 404 })
    expect(rig.service.requests.slice(asked).filter(({ method }) => method === 'GET')).toEqual([])
  })

  it('answers 408 where nobody answers', async () => {
    await rig.service.stop()
    expect(await nobody.get(aliasPath('#_irc_silent:hearth.test'))).toMatchObject({ status: 408 })
    await rig.service.startAgain()
  })
})

describe('application-service-api §Third-party networks', () => {
  const irc = {
    user_fields: ['network', 'nickname'],
    location_fields: ['network', 'channel'],
    icon: 'mxc://hearth.test/irc',
    field_types: { network: { regexp: '.+', placeholder: 'irc.example.org' } },
    instances: [{ network_id: 'libera', desc: 'Libera', fields: { network: 'libera' } }],
  }
  const base = '/_matrix/app/v1/thirdparty'

  it('describes protocols, with an ID for each network', async () => {
    rig.service.answer = ({ path }) => (path === `${base}/protocol/irc` ? { status: 200, body: irc } : undefined)
    const described = { ...irc, instances: [{ ...irc.instances[0], instance_id: 'irc|libera' }] }
    expect((await alice.api.get(`${V3}/thirdparty/protocols`)).body).toEqual({ irc: described })
    expect((await alice.api.get(`${V3}/thirdparty/protocol/irc`)).body).toEqual(described)
    expect(await alice.api.get(`${V3}/thirdparty/protocol/xmpp`)).toMatchObject({ status: 404 })
    expect(await nobody.get(`${V3}/thirdparty/protocols`)).toMatchObject({ status: 401 })
  })

  it('passes lookups on, and no token with them', async () => {
    const location = { alias: '#_irc_x:hearth.test', protocol: 'irc', fields: { channel: '#x' } }
    const user = { userid: '@_irc_x:hearth.test', protocol: 'irc', fields: { nickname: 'x' } }
    rig.service.answer = ({ path }) => {
      if (path.startsWith(`${base}/location`)) return { status: 200, body: [location] }
      return path.startsWith(`${base}/user`) ? { status: 200, body: [user] } : undefined
    }
    const get = (path: string, query: Record<string, string>) =>
      nobody.get(`${V3}/thirdparty${path}`, { ...query, access_token: alice.accessToken })
    expect((await get('/location/irc', { channel: '#x', network: 'libera' })).body).toEqual([location])
    expect([...(rig.service.requests.at(-1)?.query ?? [])]).toEqual([
      ['channel', '#x'],
      ['network', 'libera'],
    ])
    expect((await get('/user/irc', { nickname: 'x' })).body).toEqual([user])
    expect((await get('/location', { alias: location.alias })).body).toEqual([location])
    expect((await get('/user', { userid: user.userid })).body).toEqual([user])
    const nothing = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
    expect(await get('/user', { userid: alice.userId })).toMatchObject(nothing)
    expect(await get('/location/xmpp', {})).toMatchObject(nothing)
    rig.service.answer = () => ({ status: 200, body: [{ not: 'a location' }] })
    expect(await get('/location/irc', {})).toMatchObject(nothing)
  })
})

describe('application-service-api §Published room directories', () => {
  it('lists rooms under networks, apart from the rooms of the server', async () => {
    const portal = await newRoom(alice, { name: 'Portal' })
    const published = await newRoom(alice, { name: 'Published', visibility: 'public' })
    const list = (visibility: string, api = bot) =>
      api.put(`${V3}/directory/list/appservice/libera/${e(portal)}`, { visibility })
    expect(await list('public', alice.api)).toMatchObject({ status: 403 })
    expect(await list('public')).toMatchObject({ status: 200 })
    const rooms = async (body: object): Promise<readonly string[]> => {
      const reply = await alice.api.post<{ chunk: { room_id: string }[] }>(`${V3}/publicRooms`, body)
      return reply.body.chunk.map(({ room_id }) => room_id)
    }
    expect(await rooms({})).toEqual([published])
    expect(await rooms({ third_party_instance_id: 'irc|libera' })).toEqual([portal])
    expect(await rooms({ third_party_instance_id: 'irc|other' })).toEqual([])
    expect(new Set(await rooms({ include_all_networks: true }))).toEqual(new Set([portal, published]))
    expect(await rooms({ include_all_networks: true, filter: { generic_search_term: 'port' } })).toEqual([portal])
    await list('private')
    expect(await rooms({ third_party_instance_id: 'irc|libera' })).toEqual([])
    expect(await bot.put(`${V3}/directory/list/appservice/libera/!none`, { visibility: 'public' })).toMatchObject({
      status: 404,
    })
  })
})
