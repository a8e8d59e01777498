import type { RoomsCore } from '../core.ts'
import type { DirectoryPage, DirectoryWish } from '../directory.ts'
import { listPublished } from '../directory.ts'
import { type ReceivedInvite, receiveInvite } from '../elsewhere/receive-invite.ts'
import { type AddressInvite, claimAddressInvite, exchangeAddressInvite } from '../elsewhere/third-party-invites.ts'
import type { TimedEvent, TimeWish } from '../find-by-time.ts'
import type { OpenRooms } from '../open-rooms.ts'
import type { Asking } from './admission.ts'
import { queryAlias } from './directory.ts'
import { draftMembership, type MembershipAsk, type MembershipDraft } from './draft-membership.ts'
import { findByTimeForServer } from './find-by-time.ts'
import { EventFinder } from './find-event.ts'
import { readHierarchyForServer, type ServerHierarchy } from './hierarchy.ts'
import type { JsonPieces } from './json-pieces.ts'
import { joinAnswer, knockState } from './send-answers.ts'
import { type AskingAt, readEventAuth, readStateAt, readStateIdsAt } from './state-at.ts'
import { type MembershipEvent, takeMembership } from './take-membership.ts'
import { type BackfillWish, backfill, listMissingEvents, type MissingWish } from './walks.ts'

type Sent = Omit<MembershipEvent, 'membership'>

/** What other servers may ask of rooms. Events come as JSON text, in the format of their room's version. */
export interface ForServers {
  /** One event of any room that the server is in. */
  findEvent(server: string, eventId: string): Promise<string>
  /** JSON of the whole answer, as all methods that give pieces. */
  readStateAt(asking: AskingAt): Promise<JsonPieces>
  readStateIdsAt(asking: AskingAt): Promise<JsonPieces>
  readEventAuth(asking: AskingAt): Promise<JsonPieces>
  findByTime(wish: Asking & TimeWish): Promise<TimedEvent>
  backfill(wish: BackfillWish): Promise<readonly string[]>
  listMissingEvents(wish: MissingWish): Promise<readonly string[]>
  draftMembership(ask: MembershipAsk): Promise<MembershipDraft>
  takeJoin(sent: Sent, omitsMembers: boolean): Promise<JsonPieces>
  takeLeave(sent: Sent): Promise<void>
  /** @returns state events by which to tell what room it is */
  takeKnock(sent: Sent): Promise<readonly string[]>
  /** An invite of one of our users. @returns the event with our signature */
  receiveInvite(invite: ReceivedInvite): ReturnType<typeof receiveInvite>
  /** As `receiveInvite`, by the older endpoint, which tells no room version: it is 1 or 2. */
  receiveInviteV1(invite: Omit<ReceivedInvite, 'roomVersion'>): ReturnType<typeof receiveInvite>
  exchangeAddressInvite(request: Parameters<typeof exchangeAddressInvite>[2]): Promise<void>
  claimAddressInvite(invite: AddressInvite): Promise<void>
  queryAlias(alias: string): ReturnType<typeof queryAlias>
  /** Rooms that are published here and that users of other servers can come into. */
  listPublished(wish: DirectoryWish): Promise<DirectoryPage>
  readHierarchy(asking: Asking & { readonly suggestedOnly: boolean }): Promise<ServerHierarchy>
}

/** Without a limit, or with 0, servers want all: they get the longest page that there is. */
const limitFor = ({ limit = 0 }: DirectoryWish): number => (limit <= 0 ? Number.POSITIVE_INFINITY : limit)

export function createForServers(core: RoomsCore, open: OpenRooms): ForServers {
  const finder = new EventFinder(core, open)
  return {
    findEvent: (server, eventId) => finder.find(server, eventId),
    readStateAt: (asking) => readStateAt(core, open, asking),
    readStateIdsAt: (asking) => readStateIdsAt(core, open, asking),
    readEventAuth: (asking) => readEventAuth(core, open, asking),
    findByTime: (wish) => findByTimeForServer(core, open, wish),
    backfill: (wish) => backfill(core, open, wish),
    listMissingEvents: (wish) => listMissingEvents(core, open, wish),
    draftMembership: (ask) => draftMembership(core, open, ask),
    async takeJoin(sent, omitsMembers) {
      return joinAnswer(open, await takeMembership(core, open, { ...sent, membership: 'join' }), omitsMembers)
    },
    async takeLeave(sent) {
      await takeMembership(core, open, { ...sent, membership: 'leave' })
    },
    async takeKnock(sent) {
      return knockState(await takeMembership(core, open, { ...sent, membership: 'knock' }))
    },
    receiveInvite: (invite) => receiveInvite(core, open, invite),
    async receiveInviteV1(invite) {
      using held = await open.hold(invite.roomId)
      // Their events differ in nothing.
      const roomVersion = held?.room.rules.version === '2' ? '2' : '1'
      return await receiveInvite(core, open, { ...invite, roomVersion })
    },
    exchangeAddressInvite: (request) => exchangeAddressInvite(core, open, request),
    claimAddressInvite: (invite) => claimAddressInvite(core, open, invite),
    queryAlias: (alias) => queryAlias(core, open, alias),
    listPublished: (wish) => listPublished(core, open, { ...wish, limit: limitFor(wish), isForServer: true }),
    readHierarchy: (asking) => readHierarchyForServer(core, open, asking),
  }
}
