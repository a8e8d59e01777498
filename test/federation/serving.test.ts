import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cosignEvent, type EventDraft, finishEvent } from '../../server/protocol/event-signing.ts'
import type { JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { getRoomVersion } from '../../server/protocol/room-versions.ts'
import { signJson } from '../../server/protocol/signing.ts'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'
import type { ApiReply } from '../support/api.ts'
import { type AskingServer, startAskingServer } from '../support/asking-server.ts'
import { type Home, type Homes, startHomes } from '../support/homes.ts'
import { faultsOfServerReply } from '../support/spec-schema.ts'
import type { Person } from '../support/test-server.ts'

let homes: Homes & { readonly 0: Home }
let home: Home
let other: AskingServer
let stranger: AskingServer
let alice: Person
beforeAll(async () => {
  homes = await startHomes(['alpha.test'])
  home = homes[0]
  other = await startAskingServer(homes, 'other.test')
  stranger = await startAskingServer(homes, 'stranger.test')
  alice = await home.register('alice')
})
afterAll(async () => {
  await other[Symbol.asyncDispose]()
  await stranger[Symbol.asyncDispose]()
  await homes[Symbol.asyncDispose]()
})

const v1 = '/_matrix/federation/v1'
const part = encodeURIComponent

async function makeRoom(wish: object = {}): Promise<string> {
  const { body } = await alice.api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', {
    preset: 'public_chat',
    ...wish,
  })
  return body.room_id
}

let txn = 0
async function say(roomId: string, body: string): Promise<string> {
  txn += 1
  const path = `/_matrix/client/v3/rooms/${part(roomId)}/send/m.room.message/${txn}`
  return (await alice.api.put<{ event_id: string }>(path, { msgtype: 'm.text', body })).body.event_id
}

const setState = (roomId: string, type: string, content: object, key = '') =>
  alice.api.put(`/_matrix/client/v3/rooms/${part(roomId)}/state/${type}/${part(key)}`, content)

/** A 200 whose JSON is as the specification has it. */
function promised(operationId: string, { status, body }: ApiReply<JsonObject>): JsonObject {
  expect(status, JSON.stringify(body)).toBe(200)
  expect(faultsOfServerReply(operationId, body)).toEqual([])
  return body
}

function refused({ status, body }: ApiReply<JsonObject>, wanted: number, errcode: string): void {
  expect({ status, errcode: body.errcode, error: typeof body.error }).toEqual({
    status: wanted,
    errcode,
    error: 'string',
  })
}

describe('what is answered to a server in a room, by the schemas of the specification', () => {
  it('events, their state and their auth chains, and older events', async () => {
    const roomId = await makeRoom()
    const joined = await other.join(home, roomId, other.user('eve'))
    const eventId = await say(roomId, 'hello')
    const at = `${part(roomId)}?event_id=${part(eventId)}`
    const { pdus } = promised('getRoomState', await other.get(home, `${v1}/state/${at}`)) as { pdus: JsonObject[] }
    expect(pdus.filter(({ state_key: key }) => key === other.user('eve'))).toHaveLength(1)
    const ids = promised('getRoomStateIds', await other.get(home, `${v1}/state_ids/${at}`)) as { pdu_ids: string[] }
    expect(ids.pdu_ids).toContain(joined)
    const one = promised('getEvent', await other.get(home, `${v1}/event/${part(eventId)}`)) as { pdus: JsonObject[] }
    expect(one.pdus.map(({ content }) => content)).toEqual([{ msgtype: 'm.text', body: 'hello' }])
    const auth = await other.get(home, `${v1}/event_auth/${part(roomId)}/${part(eventId)}`)
    expect((promised('getEventAuth', auth).auth_chain as JsonObject[]).map(({ type }) => type)).toContain(
      'm.room.create',
    )
    const older = await other.get(home, `${v1}/backfill/${part(roomId)}?v=${part(eventId)}&limit=2`)
    expect(promised('backfillRoom', older).pdus as JsonObject[]).toHaveLength(2)
    await say(roomId, 'again')
    const latest = await say(roomId, 'and again')
    const wish = { earliest_events: [eventId], latest_events: [latest] }
    const missing = await other.ask(home, 'POST', `${v1}/get_missing_events/${part(roomId)}`, wish)
    expect(
      (promised('getMissingPreviousEvents', missing).events as JsonObject[]).map(({ content }) => content),
    ).toEqual([{ msgtype: 'm.text', body: 'again' }])
    const near = await other.get(home, `${v1}/timestamp_to_event/${part(roomId)}?ts=${Date.now() + 60_000}&dir=b`)
    expect(promised('getEventByTimestamp', near).event_id).toBe(latest)
  })

  it.each(['v', 'limit'])('backfill needs ?%s=', async (missing) => {
    const roomId = await makeRoom()
    const query = missing === 'v' ? 'limit=1' : 'v=$event'
    refused(await other.get(home, `${v1}/backfill/${part(roomId)}?${query}`), 400, 'M_MISSING_PARAM')
  })

  it('memberships: templates, and what comes of them', async () => {
    const roomId = await makeRoom({ initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }] })
    const eve = other.user('eve')
    const knocked = await other.get(home, `${v1}/make_knock/${part(roomId)}/${part(eve)}?ver=11&ver=12`)
    promised('makeKnock', knocked)
    const knock = await other.membership(home, { roomId, userId: eve, membership: 'knock' })
    const { knock_room_state: told } = promised('sendKnock', await other.send(home, roomId, knock, 'knock')) as {
      knock_room_state: JsonObject[]
    }
    const create = told.find(({ type }) => type === 'm.room.create')
    // Events, not stripped ones.
    expect(create).toHaveProperty('signatures')
    const retract = await other.get(home, `${v1}/make_leave/${part(roomId)}/${part(eve)}`)
    promised('makeLeave', retract)
    const left = await other.membership(home, { roomId, userId: eve, membership: 'leave' })
    expect(promised('sendLeaveV2', await other.send(home, roomId, left, 'leave'))).toEqual({})
    refused(await other.get(home, `${v1}/make_leave/${part(roomId)}/${part(eve)}`), 403, 'M_FORBIDDEN')

    await setState(roomId, 'm.room.join_rules', { join_rule: 'public' })
    refused(await other.get(home, `${v1}/make_knock/${part(roomId)}/${part(eve)}?ver=12`), 403, 'M_FORBIDDEN')
    promised('makeJoin', await other.get(home, `${v1}/make_join/${part(roomId)}/${part(eve)}?ver=12`))
    const old = await other.get(home, `${v1}/make_join/${part(roomId)}/${part(eve)}`)
    refused(old, 400, 'M_INCOMPATIBLE_ROOM_VERSION')
    expect(old.body.room_version).toBe('12')
    const join = await other.membership(home, { roomId, userId: eve })
    const path = `/_matrix/federation/v2/send_join/${part(roomId)}/${part(join.eventId)}?omit_members=true`
    const answer = promised('sendJoinV2', await other.ask(home, 'PUT', path, join.pdu as unknown as JsonObject))
    expect(answer.members_omitted).toBe(true)
    expect(answer.servers_in_room).toEqual(['alpha.test'])
    const members = await alice.api.get<{ joined: object }>(`/_matrix/client/v3/rooms/${part(roomId)}/joined_members`)
    expect(Object.keys(members.body.joined)).toContain(eve)
  })

  it('the older endpoints to send joins and leaves are unknown', async () => {
    const roomId = await makeRoom()
    for (const membership of ['join', 'leave'] as const) {
      const path = `${v1}/send_${membership}/${part(roomId)}/${part('$event')}`
      refused(await other.ask(home, 'PUT', path, {}), 404, 'M_UNRECOGNIZED')
    }
  })
})

describe('server-server-api §Querying for information', () => {
  it('leads from an alias to its room and the servers in it', async () => {
    const roomId = await makeRoom({ room_alias_name: 'garden' })
    const query = (alias: string) => other.get(home, `${v1}/query/directory?room_alias=${part(alias)}`)
    const found = promised('queryRoomDirectory', await query('#garden:alpha.test'))
    expect(found).toEqual({ room_id: roomId, servers: ['alpha.test'] })
    await other.join(home, roomId, other.user('eve'))
    expect((await query('#garden:alpha.test')).body.servers).toEqual(['alpha.test', 'other.test'])
    refused(await query('#none:alpha.test'), 404, 'M_NOT_FOUND')
    refused(await query('#garden:other.test'), 404, 'M_NOT_FOUND')
    refused(await query('garden'), 400, 'M_INVALID_PARAM')
  })

  it('shows the profiles of our people, whole or one field', async () => {
    await alice.api.put(`/_matrix/client/v3/profile/${part(alice.userId)}/displayname`, { displayname: 'Alice' })
    await alice.api.put(`/_matrix/client/v3/profile/${part(alice.userId)}/m.tz`, { 'm.tz': 'Europe/Berlin' })
    const query = (userId: string, rest = '') => other.get(home, `${v1}/query/profile?user_id=${part(userId)}${rest}`)
    expect(promised('queryProfile', await query(alice.userId))).toEqual({
      displayname: 'Alice',
      'm.tz': 'Europe/Berlin',
    })
    expect((await query(alice.userId, '&field=m.tz')).body).toEqual({ 'm.tz': 'Europe/Berlin' })
    refused(await query(alice.userId, '&field=avatar_url'), 404, 'M_NOT_FOUND')
    refused(await query(alice.userId, '&field=__proto__'), 404, 'M_NOT_FOUND')
    refused(await query('@nobody:alpha.test'), 404, 'M_NOT_FOUND')
    refused(await query('@eve:other.test'), 404, 'M_NOT_FOUND')
    const bob = await home.register('bob')
    await bob.api.post('/_matrix/client/v3/account/deactivate', {
      auth: { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'bob' }, password: 'password of bob' },
    })
    refused(await query(bob.userId), 404, 'M_NOT_FOUND')
  })

  it('knows no other queries', async () => {
    refused(await other.get(home, `${v1}/query/weather?place=here`), 404, 'M_NOT_FOUND')
  })
})

describe('server-server-api §Published Room Directory', () => {
  it('shows published rooms in pages and by filters, but none that others cannot come into', async () => {
    const names = ['north', 'south', 'east']
    for (const name of names) await makeRoom({ name, visibility: 'public' })
    await makeRoom({ name: 'own', visibility: 'public', creation_content: { 'm.federate': false } })
    await makeRoom({ name: 'unlisted' })
    const listed = promised('getPublicRooms', await stranger.get(home, `${v1}/publicRooms`))
    const shown = (body: JsonObject) => (body.chunk as JsonObject[]).map(({ name }) => name).toSorted()
    expect(shown(listed)).toEqual(names.toSorted())
    const first = promised('getPublicRooms', await stranger.get(home, `${v1}/publicRooms?limit=2`))
    expect(first.chunk).toHaveLength(2)
    const second = await stranger.get(home, `${v1}/publicRooms?limit=2&since=${part(String(first.next_batch))}`)
    expect([...shown(first), ...shown(second.body)].toSorted()).toEqual(names.toSorted())
    expect((await stranger.get(home, `${v1}/publicRooms?limit=0`)).body.chunk).toHaveLength(3)
    const filter = { generic_search_term: 'OR' }
    const searched = await stranger.ask(home, 'POST', `${v1}/publicRooms`, { filter, limit: 10 })
    expect(shown(promised('queryPublicRooms', searched))).toEqual(['north'])
    const spaces = await stranger.ask(home, 'POST', `${v1}/publicRooms`, { filter: { room_types: ['m.space'] } })
    expect(shown(promised('queryPublicRooms', spaces))).toEqual([])
    const network = await stranger.get(home, `${v1}/publicRooms?third_party_instance_id=irc`)
    expect(shown(promised('getPublicRooms', network))).toEqual([])
    refused(await stranger.get(home, `${v1}/publicRooms?since=nonsense`), 400, 'M_INVALID_PARAM')
    // Whoever is of the household sees the room that others cannot come into.
    const own = await alice.api.get<{ chunk: { name?: string }[] }>('/_matrix/client/v3/publicRooms')
    expect(own.body.chunk.map(({ name }) => name)).toContain('own')
  })
})

describe('server-server-api §Spaces', () => {
  async function space(children: readonly string[], wish: object = {}): Promise<string> {
    const roomId = await makeRoom({ creation_content: { type: 'm.space' }, ...wish })
    for (const child of children) await setState(roomId, 'm.space.child', { via: ['alpha.test'] }, child)
    return roomId
  }
  const hierarchy = (asking: AskingServer, roomId: string, rest = '') =>
    asking.get(home, `${v1}/hierarchy/${part(roomId)}${rest}`)

  it('shows a space and its children, and names those that are closed to the server', async () => {
    const open = await makeRoom({ name: 'open' })
    const closed = await makeRoom({ preset: 'private_chat', name: 'closed' })
    const members = await makeRoom({
      preset: 'private_chat',
      initial_state: [
        {
          type: 'm.room.join_rules',
          state_key: '',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: open }] },
        },
      ],
    })
    const spaceId = await space([open, closed, members, '!elsewhere:other.test'])
    await setState(spaceId, 'm.space.child', { via: ['alpha.test'], suggested: true }, closed)
    const seen = promised('getSpaceHierarchy', await hierarchy(stranger, spaceId))
    expect((seen.room as JsonObject).room_id).toBe(spaceId)
    expect((seen.room as { children_state: unknown[] }).children_state).toHaveLength(4)
    const idsOf = (body: JsonObject) => (body.children as JsonObject[]).map(({ room_id: id }) => id)
    expect(idsOf(seen)).toEqual([open])
    expect((seen.inaccessible_children as string[]).toSorted()).toEqual([closed, members].toSorted())
    expect(JSON.stringify(seen)).not.toContain('"name":"closed"')
    const suggested = promised('getSpaceHierarchy', await hierarchy(stranger, spaceId, '?suggested_only=true'))
    expect(suggested.children).toEqual([])
    expect(suggested.inaccessible_children).toEqual([closed])
    // Any user of the server opens the restricted room to it.
    await other.join(home, open, other.user('eve'))
    expect(idsOf(promised('getSpaceHierarchy', await hierarchy(other, spaceId))).toSorted()).toEqual(
      [members, open].toSorted(),
    )
  })

  it('is 404 for a space that is closed, shuts the server out, or is not there', async () => {
    const closed = await space([], { preset: 'private_chat' })
    const answers = [await hierarchy(stranger, closed), await hierarchy(stranger, '!none:alpha.test')]
    for (const answer of answers) refused(answer, 404, 'M_NOT_FOUND')
    expect(answers[0]?.body).toEqual(answers[1]?.body)
    const open = await space([])
    promised('getSpaceHierarchy', await hierarchy(stranger, open))
    await setState(open, 'm.room.server_acl', { allow: ['*'], deny: ['stranger.test'] })
    refused(await hierarchy(stranger, open), 404, 'M_NOT_FOUND')
  })
})

describe('server-server-api §Policy Servers', () => {
  it('this is none', async () => {
    refused(await other.ask(home, 'POST', '/_matrix/policy/v1/sign', {}), 404, 'M_UNRECOGNIZED')
  })
})

describe('server-server-api §Inviting to a room', () => {
  /** An invite to a room that only the other server is in. */
  function inviteTo(version: string, userId: string) {
    const rules = getRoomVersion(version)
    const roomId = `!elsewhere${version}:other.test`
    const sender = other.user('eve')
    const common = { room_id: roomId, sender, origin: other.name, origin_server_ts: Date.now() }
    const finish = (draft: object, name: string) =>
      finishEvent({
        draft: {
          ...common,
          ...(rules.eventIds === 'inEvent' && { event_id: `$${name}:other.test` }),
          ...draft,
        } as unknown as EventDraft,
        rules,
        serverName: other.name,
        key: other.foreign.key,
      })
    const content = { room_version: version, ...(!rules.creatorIsSender && { creator: sender }) }
    const create = { type: 'm.room.create', state_key: '', content, prev_events: [], auth_events: [], depth: 1 }
    const member = { type: 'm.room.member', state_key: userId, content: { membership: 'invite' }, depth: 2 }
    return {
      roomId,
      create: finish(create, 'create').pdu as unknown as JsonObject,
      invite: finish({ ...member, prev_events: [], auth_events: [] }, 'invite'),
    }
  }

  const invitesOf = async (person: Person) => {
    const { body } = await person.api.get<{ rooms?: { invite?: object } }>('/_matrix/client/v3/sync')
    return Object.keys(body.rooms?.invite ?? {})
  }

  it.each(['1', '11'])('signs an invite of one of our people, and shows it to them (version %s)', async (version) => {
    const person = await home.register(`invited${version}`)
    const { roomId, create, invite } = inviteTo(version, person.userId)
    const pdu = invite.pdu as unknown as JsonObject
    const at = `${part(roomId)}/${part(invite.eventId)}`
    const body = { room_version: version, event: pdu, invite_room_state: [create] }
    const answer =
      version === '1'
        ? await other.ask(home, 'PUT', `${v1}/invite/${at}`, { ...pdu, unsigned: { invite_room_state: [create] } })
        : await other.ask(home, 'PUT', `/_matrix/federation/v2/invite/${at}`, body)
    const replied = promised(version === '1' ? 'sendInviteV1' : 'sendInviteV2', answer) as unknown
    const { event } = (version === '1' ? (replied as JsonObject[])[1] : replied) as { event: JsonObject }
    expect(Object.keys(event.signatures as object).toSorted()).toEqual(['alpha.test', 'other.test'])
    expect({ ...event, signatures: pdu.signatures, unsigned: undefined }).toEqual({ ...pdu, unsigned: undefined })
    expect(await invitesOf(person)).toEqual([roomId])
  })

  it('signs nothing else', async () => {
    const { roomId, create, invite } = inviteTo('11', '@somebody:other.test')
    const body = { room_version: '11', event: invite.pdu as unknown as JsonObject, invite_room_state: [create] }
    const path = `/_matrix/federation/v2/invite/${part(roomId)}/${part(invite.eventId)}`
    refused(await other.ask(home, 'PUT', path, body), 400, 'M_INVALID_PARAM')
    refused(await stranger.ask(home, 'PUT', path, body), 400, 'M_INVALID_PARAM')
    const unknown = await other.ask(home, 'PUT', path, { ...body, room_version: '99' })
    refused(unknown, 400, 'M_INCOMPATIBLE_ROOM_VERSION')
  })
})

describe('server-server-api §Third-party invites', () => {
  const identity = makeSigningKey(Buffer.alloc(32, 9), '1')
  const signedFor = (mxid: string, token: string) =>
    signJson({ mxid, token }, 'identity.test', identity) as unknown as JsonObject

  async function offer(roomId: string, token: string): Promise<void> {
    await setState(
      roomId,
      'm.room.third_party_invite',
      {
        display_name: 'someone',
        key_validity_url: 'https://identity.test/valid',
        public_key: identity.publicKey,
        public_keys: [{ public_key: identity.publicKey }],
      },
      token,
    )
  }

  it('turns an invite by address into one of the user whose it is, for our own people', async () => {
    const roomId = await makeRoom({ preset: 'private_chat' })
    await offer(roomId, 'token1')
    const carol = await home.register('carol')
    const bind = (signed: JsonObject) =>
      homes.call(home, `${v1}/3pid/onbind`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          medium: 'email',
          address: 'carol@example.org',
          mxid: carol.userId,
          invites: [
            {
              medium: 'email',
              address: 'carol@example.org',
              mxid: carol.userId,
              room_id: roomId,
              sender: alice.userId,
              signed,
            },
          ],
        }),
      })
    const membership = async () => {
      const path = `/_matrix/client/v3/rooms/${part(roomId)}/state/m.room.member/${part(carol.userId)}`
      return (await alice.api.get<{ membership?: string }>(path)).body.membership
    }
    const forged = makeSigningKey(Buffer.alloc(32, 10), '1')
    const wrong = signJson({ mxid: carol.userId, token: 'token1' }, 'identity.test', forged) as unknown as JsonObject
    expect((await bind(wrong)).status).toBe(200)
    expect(await membership()).toBeUndefined()
    expect(await bind(signedFor(carol.userId, 'token1'))).toMatchObject({ status: 200, body: {} })
    expect(await membership()).toBe('invite')
  })

  it('exchanges one for a user of the server that asks, and of no other', async () => {
    const roomId = await makeRoom({ preset: 'private_chat' })
    await offer(roomId, 'token2')
    const exchange = (asking: AskingServer, userId: string) =>
      asking.ask(home, 'PUT', `${v1}/exchange_third_party_invite/${part(roomId)}`, {
        type: 'm.room.member',
        room_id: roomId,
        sender: alice.userId,
        state_key: userId,
        content: {
          membership: 'invite',
          third_party_invite: { display_name: 'someone', signed: signedFor(userId, 'token2') },
        },
      })
    refused(await exchange(stranger, other.user('eve')), 403, 'M_FORBIDDEN')
    const eve = other.user('eve')
    other.foreign.answer = (asked, response) => {
      const { event } = JSON.parse(asked.body) as { event: JsonObject }
      const pdu = cosignEvent({
        pdu: event as unknown as Pdu,
        rules: getRoomVersion('12'),
        serverName: other.name,
        key: other.foreign.key,
      })
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ event: pdu }))
    }
    expect(promised('exchangeThirdPartyInvite', await exchange(other, eve))).toEqual({})
    const path = `/_matrix/client/v3/rooms/${part(roomId)}/state/m.room.member/${part(eve)}`
    expect((await alice.api.get<{ membership: string }>(path)).body.membership).toBe('invite')
  })
})
