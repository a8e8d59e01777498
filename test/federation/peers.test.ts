import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Pdu } from '../../server/protocol/pdu.ts'
import { type ForeignServer, sendJson } from '../support/foreign-server.ts'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
let there: ForeignServer
/** By the beginning of the path: what it answers. */
let answers: Record<string, unknown>
beforeEach(async () => {
  rig = await startRig()
  there = await rig.foreign('there.test')
  answers = {}
  there.answer = ({ url }, response) => {
    const found = Object.entries(answers).find(([path]) => url.startsWith(`/_matrix/${path}`))
    if (found) sendJson(response, 200, found[1])
    else sendJson(response, 404, { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' })
  }
})
afterEach(() => rig[Symbol.asyncDispose]())

const pdu = { type: 'm.room.member', content: { membership: 'join' } } as unknown as Pdu
const event = { type: 'm.room.message', depth: 3 }
const roomId = '!r:there.test'
const asked = () => there.asked.map(({ method, url }) => `${method} ${url}`)

describe('what other servers are asked about rooms', () => {
  it('is asked where and how the specification says', async () => {
    const { peers } = rig.federation
    answers = {
      'federation/v1/event/': { origin: 'there.test', origin_server_ts: 1, pdus: [event] },
      'federation/v1/get_missing_events/': { events: [event, event, event] },
      'federation/v1/backfill/': { pdus: [event, event] },
      'federation/v1/state_ids/': { pdu_ids: ['$a'], auth_chain_ids: ['$b'] },
      'federation/v1/state/': { pdus: [event], auth_chain: [] },
      'federation/v1/event_auth/': { auth_chain: [event] },
      'federation/v1/timestamp_to_event/': { event_id: '$a', origin_server_ts: 5 },
      'federation/v1/make_join/': { room_version: '11', event },
      'federation/v1/make_leave/': { event },
      'federation/v1/make_knock/': { room_version: '11', event },
      'federation/v2/send_join/': {
        state: [event],
        auth_chain: [],
        servers_in_room: ['a.test'],
        members_omitted: true,
      },
      'federation/v2/send_leave/': {},
      'federation/v1/send_knock/': { knock_room_state: [event] },
      'federation/v2/invite/': { event },
      'federation/v1/exchange_third_party_invite/': {},
      'federation/v1/query/directory': { room_id: roomId, servers: ['there.test'] },
      'federation/v1/publicRooms': { chunk: [{ room_id: roomId }] },
      'federation/v1/hierarchy/': { room: { room_id: roomId }, children: [], inaccessible_children: [] },
    }
    const server = 'there.test'
    const userId = '@a:here.test'
    const wish = { roomId, userId, versions: ['11', '12'] }
    const sent = { roomId, eventId: '$e', pdu }
    expect(await peers.event(server, '$a')).toEqual(event)
    const missing = { roomId, earliest: ['$a'], latest: ['$b'], limit: 2, minDepth: 1 }
    expect(await peers.missingEvents(server, missing)).toEqual([event, event])
    expect(await peers.backfill(server, { roomId, from: ['$a', '$b'], limit: 1 })).toEqual([event])
    expect(await peers.stateIds(server, roomId, '$a')).toEqual({ state: ['$a'], authChain: ['$b'] })
    expect(await peers.state(server, roomId, '$a')).toEqual({ state: [event], authChain: [] })
    expect(await peers.eventAuth(server, roomId, '$a')).toEqual([event])
    const byTime = await peers.eventByTimestamp(server, { roomId, ts: 4, direction: 'f' })
    expect(byTime).toEqual({ eventId: '$a', originServerTs: 5 })
    expect(await peers.makeMembership(server, { kind: 'join', ...wish })).toEqual({ event, roomVersion: '11' })
    expect(await peers.makeMembership(server, { kind: 'leave', ...wish })).toEqual({ event, roomVersion: undefined })
    expect(await peers.makeMembership(server, { kind: 'knock', ...wish })).toEqual({ event, roomVersion: '11' })
    expect(await peers.sendJoin(server, { ...sent, omitMembers: true })).toEqual({
      state: [event],
      authChain: [],
      event: undefined,
      membersOmitted: true,
      serversInRoom: ['a.test'],
    })
    await peers.sendLeave(server, sent)
    expect(await peers.sendKnock(server, sent)).toEqual([event])
    expect(await peers.sendInvite(server, { ...sent, roomVersion: '11', strippedState: [event] })).toEqual(event)
    await peers.exchangeThirdPartyInvite(server, roomId, { type: 'm.room.member' })
    expect(await peers.resolveAlias('#x:there.test')).toEqual({ roomId, servers: ['there.test'] })
    expect(await peers.hierarchy(server, roomId, true)).toMatchObject({ room: { room_id: roomId } })
    const published = { chunk: [{ room_id: roomId }] }
    expect(await peers.publicRooms(server, { limit: 5, since: 'x', allNetworks: true })).toEqual(published)
    expect(await peers.publicRooms(server, { limit: 5, searchTerm: 'soup', roomTypes: [null] })).toEqual(published)
    expect(JSON.parse(there.asked.at(-1)?.body ?? '')).toEqual({
      limit: 5,
      filter: { generic_search_term: 'soup', room_types: [null] },
    })
    const room = '!r%3Athere.test'
    const user = '%40a%3Ahere.test'
    expect(asked()).toEqual([
      'GET /_matrix/federation/v1/event/%24a',
      `POST /_matrix/federation/v1/get_missing_events/${room}`,
      `GET /_matrix/federation/v1/backfill/${room}?v=%24a&v=%24b&limit=1`,
      `GET /_matrix/federation/v1/state_ids/${room}?event_id=%24a`,
      `GET /_matrix/federation/v1/state/${room}?event_id=%24a`,
      `GET /_matrix/federation/v1/event_auth/${room}/%24a`,
      `GET /_matrix/federation/v1/timestamp_to_event/${room}?ts=4&dir=f`,
      `GET /_matrix/federation/v1/make_join/${room}/${user}?ver=11&ver=12`,
      `GET /_matrix/federation/v1/make_leave/${room}/${user}`,
      `GET /_matrix/federation/v1/make_knock/${room}/${user}?ver=11&ver=12`,
      `PUT /_matrix/federation/v2/send_join/${room}/%24e?omit_members=true`,
      `PUT /_matrix/federation/v2/send_leave/${room}/%24e`,
      `PUT /_matrix/federation/v1/send_knock/${room}/%24e`,
      `PUT /_matrix/federation/v2/invite/${room}/%24e`,
      `PUT /_matrix/federation/v1/exchange_third_party_invite/${room}`,
      'GET /_matrix/federation/v1/query/directory?room_alias=%23x%3Athere.test',
      `GET /_matrix/federation/v1/hierarchy/${room}?suggested_only=true`,
      'GET /_matrix/federation/v1/publicRooms?limit=5&since=x&include_all_networks=true',
      'POST /_matrix/federation/v1/publicRooms',
    ])
  })

  it('invites by version 1 where only that is there, and the room is of version 1 or 2', async () => {
    const invite = { roomId, eventId: '$e:here.test', pdu, strippedState: [event] }
    answers = { 'federation/v1/invite/': [200, { event }] }
    expect(await rig.federation.peers.sendInvite('there.test', { ...invite, roomVersion: '1' })).toEqual(event)
    expect(JSON.parse(there.asked.at(-1)?.body ?? '')).toEqual({ ...pdu, unsigned: { invite_room_state: [event] } })
    const newer = rig.federation.peers.sendInvite('there.test', { ...invite, roomVersion: '3' })
    await expect(newer).rejects.toMatchObject({ name: 'RemoteRefusal', errcode: 'M_UNRECOGNIZED' })
  })

  it('leaves nothing of an alias that is not there', async () => {
    there.answer = (_asked, response) => sendJson(response, 404, { errcode: 'M_NOT_FOUND', error: 'no' })
    expect(await rig.federation.peers.resolveAlias('#x:there.test')).toBeUndefined()
  })

  it.each([
    ['no event', 'federation/v1/event/', { pdus: [] }, () => rig.federation.peers.event('there.test', '$a')],
    [
      'no template',
      'federation/v1/make_join/',
      { room_version: '11' },
      () =>
        rig.federation.peers.makeMembership('there.test', {
          kind: 'join',
          roomId,
          userId: '@a:here.test',
          versions: [],
        }),
    ],
    [
      'events that are none',
      'federation/v1/backfill/',
      { pdus: [1] },
      () => rig.federation.peers.backfill('there.test', { roomId, from: [], limit: 9 }),
    ],
    [
      'a state without end',
      'federation/v1/state_ids/',
      { pdu_ids: 'x', auth_chain_ids: [] },
      () => rig.federation.peers.stateIds('there.test', roomId, '$a'),
    ],
  ] as const)('takes no answer with %s', async (_what, path, answer, ask) => {
    answers = { [path]: answer }
    await expect(ask()).rejects.toMatchObject({ name: 'RemoteError', failure: 'badAnswer' })
  })
})

describe('server-server-api §Asking for a Policy Server signature on an event', () => {
  const sign = () => rig.federation.policyServers.sign('there.test', pdu)

  it('gives the signatures that the policy server answers with', async () => {
    answers = { 'policy/v1/sign': { 'there.test': { 'ed25519:policy_server': 'abc' } } }
    expect(await sign()).toEqual({ 'there.test': { 'ed25519:policy_server': 'abc' } })
    expect(asked()).toEqual(['POST /_matrix/policy/v1/sign'])
    expect(JSON.parse(there.asked[0]?.body ?? '')).toEqual(pdu)
  })

  it("shows its refusals in its own words, and nothing that would end a client's session", async () => {
    const refuses = (status: number, body: object): void => {
      there.answer = (_asked, response) => sendJson(response, status, body)
    }
    refuses(400, { errcode: 'M_FORBIDDEN', error: 'spam' })
    await expect(sign()).rejects.toMatchObject({
      name: 'MatrixError',
      status: 400,
      errcode: 'M_FORBIDDEN',
      message: 'spam',
    })
    refuses(429, { errcode: 'M_LIMIT_EXCEEDED', error: 'slower', retry_after_ms: 1e12 })
    await expect(sign()).rejects.toMatchObject({
      name: 'MatrixError',
      status: 429,
      extra: { retry_after_ms: 3_600_000 },
    })
    refuses(401, { errcode: 'M_UNKNOWN_TOKEN', error: 'log in again' })
    await expect(sign()).rejects.toMatchObject({ name: 'RemoteRefusal' })
  })
})
