/** What other servers are asked about rooms, in one place: endpoints, sizes, times. Spec: server-server-api, from §PDUs to §Public Room Directory. */
import { Type } from 'typebox'
import { backfillRoom, getMissingPreviousEvents } from '../../shared/api/federation/backfill.ts'
import { getEventAuth } from '../../shared/api/federation/event_auth.ts'
import { getEvent, getEventByTimestamp, getRoomState, getRoomStateIds } from '../../shared/api/federation/events.ts'
import { sendInviteV1 } from '../../shared/api/federation/invites-v1.ts'
import { sendInviteV2 } from '../../shared/api/federation/invites-v2.ts'
import { makeJoin } from '../../shared/api/federation/joins-v1.ts'
import { sendJoinV2 } from '../../shared/api/federation/joins-v2.ts'
import { makeKnock, sendKnock } from '../../shared/api/federation/knocks.ts'
import { makeLeave } from '../../shared/api/federation/leaving-v1.ts'
import { sendLeaveV2 } from '../../shared/api/federation/leaving-v2.ts'
import { getPublicRooms, queryPublicRooms } from '../../shared/api/federation/public_rooms.ts'
import { queryRoomDirectory } from '../../shared/api/federation/query.ts'
import { getSpaceHierarchy } from '../../shared/api/federation/space_hierarchy.ts'
import { exchangeThirdPartyInvite } from '../../shared/api/federation/third_party_invite.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { AnyObject } from '../../shared/matrix/json.ts'
import { RemoteError } from '../net/index.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { Json, JsonObject, Pdu } from '../protocol/pdu.ts'
import type { FederationClient, Peers, ServerKeys } from './contract.ts'
import { RemoteRefusal } from './remote-refusal.ts'

const MEBIBYTE = 1024 * 1024
/** Events are at most 64 KiB, but more where their JSON is written wastefully. */
const SOME_EVENTS = { maxBytes: 16 * MEBIBYTE, timeoutMs: 60_000 } as const
const WHOLE_STATE = { maxBytes: 64 * MEBIBYTE, timeoutMs: 180_000 } as const
/** What a person waits for is tried even where the server was away a moment ago. */
const WAITED_FOR = { timeoutMs: 60_000, evenIfBackedOff: true } as const

/** Many rooms are asked about one after the other while somebody waits. */
const HIERARCHY_MS = 10_000

// Of these answers only the events are used: the rest may be missing.
const pdusAlone = Type.Object({ pdus: Type.Array(AnyObject) })
const event = { ...getEvent, reply: pdusAlone }
const backfill = { ...backfillRoom, reply: pdusAlone }
// One malformed room must not take the others with it.
const publicRooms = { ...getPublicRooms, reply: AnyObject }
const publicRoomsFound = { ...queryPublicRooms, reply: AnyObject }

export function createPeers(client: FederationClient, { keysFor }: Pick<ServerKeys, 'keysFor'>): Peers {
  const { call } = client

  async function sendInviteByVersion1(server: string, invite: Parameters<Peers['sendInvite']>[1]): Promise<Json> {
    const { roomId, eventId, pdu, strippedState } = invite
    const unsigned = { ...pdu.unsigned, invite_room_state: strippedState as Json }
    const body = { ...pdu, unsigned } as unknown as JsonObject
    const [, answer] = await call(server, sendInviteV1, { path: { roomId, eventId }, body, ...WAITED_FOR })
    const signed = isJsonObject(answer) ? answer.event : undefined
    if (signed === undefined) throw new RemoteError(server, 'badAnswer', 'its answer to an invite has no event')
    return signed
  }

  return {
    keysFor,

    async event(server, eventId) {
      const { pdus } = await call(server, event, { path: { eventId }, maxBytes: MEBIBYTE })
      const [first] = pdus as readonly Json[]
      if (first === undefined) throw new RemoteError(server, 'badAnswer', 'its answer has no event')
      return first
    },

    async missingEvents(server, { roomId, earliest, latest, limit, minDepth }) {
      const { events } = await call(server, getMissingPreviousEvents, {
        path: { roomId },
        body: { earliest_events: [...earliest], latest_events: [...latest], limit, min_depth: minDepth },
        ...SOME_EVENTS,
      })
      return (events as readonly Json[]).slice(0, limit)
    },

    async backfill(server, { roomId, from, limit }) {
      const { pdus } = await call(server, backfill, {
        path: { roomId },
        query: { v: [...from], limit },
        ...SOME_EVENTS,
      })
      return (pdus as readonly Json[]).slice(0, limit)
    },

    async stateIds(server, roomId, eventId) {
      const answer = await call(server, getRoomStateIds, {
        path: { roomId },
        query: { event_id: eventId },
        ...WHOLE_STATE,
      })
      return { state: answer.pdu_ids, authChain: answer.auth_chain_ids }
    },

    async state(server, roomId, eventId) {
      const answer = await call(server, getRoomState, {
        path: { roomId },
        query: { event_id: eventId },
        ...WHOLE_STATE,
      })
      return { state: answer.pdus as readonly Json[], authChain: answer.auth_chain as readonly Json[] }
    },

    async eventAuth(server, roomId, eventId) {
      const answer = await call(server, getEventAuth, { path: { roomId, eventId }, ...WHOLE_STATE })
      return answer.auth_chain as readonly Json[]
    },

    async eventByTimestamp(server, { roomId, ts, direction }) {
      const answer = await call(server, getEventByTimestamp, { path: { roomId }, query: { ts, dir: direction } })
      return { eventId: answer.event_id, originServerTs: answer.origin_server_ts }
    },

    async makeMembership(server, { kind, roomId, userId, versions }) {
      const path = { roomId, userId }
      const query = { ver: [...versions] }
      const answer =
        kind === 'join'
          ? await call(server, makeJoin, { path, query, ...WAITED_FOR })
          : kind === 'knock'
            ? await call(server, makeKnock, { path, query, ...WAITED_FOR })
            : await call(server, makeLeave, { path, ...WAITED_FOR })
      if (!answer.event) throw new RemoteError(server, 'badAnswer', 'its answer has no template')
      return { event: answer.event as JsonObject, roomVersion: answer.room_version }
    },

    async sendJoin(server, { roomId, eventId, pdu, omitMembers }) {
      const answer = await call(server, sendJoinV2, {
        path: { roomId, eventId },
        query: { omit_members: omitMembers },
        body: bodyOf(pdu),
        ...WHOLE_STATE,
        evenIfBackedOff: true,
      })
      return {
        state: answer.state as readonly Json[],
        authChain: answer.auth_chain as readonly Json[],
        event: answer.event as Json | undefined,
        membersOmitted: answer.members_omitted ?? false,
        serversInRoom: answer.servers_in_room ?? [],
      }
    },

    async sendLeave(server, { roomId, eventId, pdu }) {
      await call(server, sendLeaveV2, { path: { roomId, eventId }, body: bodyOf(pdu), ...WAITED_FOR })
    },

    async sendKnock(server, { roomId, eventId, pdu }) {
      const answer = await call(server, sendKnock, { path: { roomId, eventId }, body: bodyOf(pdu), ...WAITED_FOR })
      return answer.knock_room_state as readonly Json[]
    },

    async sendInvite(server, invite) {
      const { roomId, eventId, roomVersion, pdu, strippedState } = invite
      try {
        const answer = await call(server, sendInviteV2, {
          path: { roomId, eventId },
          body: {
            room_version: roomVersion,
            event: bodyOf(pdu),
            invite_room_state: strippedState as readonly JsonObject[] as JsonObject[],
          },
          ...WAITED_FOR,
        })
        return answer.event as Json
      } catch (error) {
        const isOld = error instanceof RemoteRefusal && error.errcode === 'M_UNRECOGNIZED'
        if (!isOld || (roomVersion !== '1' && roomVersion !== '2')) throw error
        return sendInviteByVersion1(server, invite)
      }
    },

    async exchangeThirdPartyInvite(server, roomId, body) {
      await call(server, { ...exchangeThirdPartyInvite, body: AnyObject }, { path: { roomId }, body, ...WAITED_FOR })
    },

    async resolveAlias(alias) {
      try {
        const query = { room_alias: alias }
        const answer = await call(serverNameOf(alias), queryRoomDirectory, { path: {}, query, evenIfBackedOff: true })
        return { roomId: answer.room_id, servers: answer.servers }
      } catch (error) {
        if (error instanceof RemoteRefusal && error.errcode === 'M_NOT_FOUND') return undefined
        throw error
      }
    },

    async hierarchy(server, roomId, suggestedOnly) {
      const answer = await call(server, getSpaceHierarchy, {
        path: { roomId },
        query: { suggested_only: suggestedOnly },
        maxBytes: 4 * MEBIBYTE,
        timeoutMs: HIERARCHY_MS,
      })
      return answer as unknown as JsonObject
    },

    async publicRooms(server, { limit, since, searchTerm, roomTypes, networkId, allNetworks }) {
      const common = {
        limit,
        ...(since !== undefined && { since }),
        ...(allNetworks !== undefined && { include_all_networks: allNetworks }),
        ...(networkId !== undefined && { third_party_instance_id: networkId }),
      }
      const bounds = { maxBytes: 4 * MEBIBYTE, evenIfBackedOff: true }
      if (searchTerm === undefined && roomTypes === undefined) {
        return (await call(server, publicRooms, { path: {}, query: common, ...bounds })) as JsonObject
      }
      const filter = {
        ...(searchTerm !== undefined && { generic_search_term: searchTerm }),
        ...(roomTypes && { room_types: [...roomTypes] }),
      }
      return (await call(server, publicRoomsFound, { path: {}, body: { ...common, filter }, ...bounds })) as JsonObject
    },
  }
}

const bodyOf = (pdu: Pdu): JsonObject => pdu as unknown as JsonObject
