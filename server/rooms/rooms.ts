import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { AccountsForReaders, Requester } from '../accounts/index.ts'
import type { OwedPdus, Peers } from '../federation/index.ts'
import type { IsKeyValid } from '../identity/index.ts'
import type { MediaReferences } from '../media/index.ts'
import type { Environment } from '../observe/environment.ts'
import { InviteThrottle, type PolicyServers } from '../policy/index.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { SigningKey } from '../protocol/signing-key.ts'
import type { Store } from '../store/index.ts'
import { addAlias, findAlias, listAliases, listAliasesFor, locateRoom, removeAlias, resolveRoom } from './aliases.ts'
import { Announcer } from './announcer.ts'
import { Chores } from './chores.ts'
import type { Move, RoomsForReaders } from './contract.ts'
import type { Claims, RoomsConfig, RoomsCore } from './core.ts'
import { createRoom, type RoomWish } from './create.ts'
import { DelayedEvents, type DelayedEventsOfUser } from './delayed-events.ts'
import { type DirectoryPage, type DirectoryWish, isPublished, listPublished, setPublished } from './directory.ts'
import { takeAwayUnfinished } from './elsewhere/bring-in.ts'
import { Completion } from './elsewhere/complete.ts'
import { elsewhereSince, type InviteElsewhere, invitesElsewhere } from './elsewhere/outside.ts'
import { listPublishedElsewhere } from './elsewhere/public-rooms.ts'
import { Erasures } from './erasures.ts'
import { createFinding, type Finding } from './finding.ts'
import { createForServers, type ForServers } from './for-servers/for-servers.ts'
import { readFetching } from './history/fetch-for-reader.ts'
import { History } from './history/history.ts'
import { JoinEnds } from './join-ends.ts'
import { requireMaySetState } from './may-set-state.ts'
import * as members from './membership-cases.ts'
import { Memberships } from './memberships.ts'
import { setNetworkListing } from './network-rooms.ts'
import { OpenRooms } from './open-rooms.ts'
import { OwedEvents } from './owed-events.ts'
import { Purge } from './purge.ts'
import { putMembership } from './put-membership.ts'
import {
  type MembersWish,
  type Reader,
  readEventById,
  readJoinedMembers,
  readMembers,
  readState,
  readStateEvent,
} from './read-state.ts'
import {
  type Context,
  type Page,
  type PageWish,
  type Preview,
  readContext,
  readPage,
  readPreview,
  type TimelineFilter,
} from './read-timeline.ts'
import { roomsForReaders } from './readers.ts'
import { Inbound, type Received } from './receive/inbound.ts'
import { createIncoming, type Incoming } from './receive/incoming.ts'
import type { Reception } from './receive/receive.ts'
import { readReportable } from './reportable.ts'
import { type Bounds, Retention } from './retention.ts'
import { redactEvent, sendMessage, setState } from './send.ts'
import { type Notice, requireMayDecline, sendNotice } from './server-notices.ts'
import { roomChanges } from './store.ts'
import { type UpgradeWish, upgradeRoom } from './upgrade.ts'

/** Who asks, the room, and the transaction ID that makes the request repeatable. */
interface Sending {
  readonly roomId: string
  readonly requester: Requester
  readonly txnId: string
  /** `origin_server_ts` where an application service chose it. */
  readonly createdTs?: number | undefined
}

/** The use cases of the client API. All throw `MatrixError` for what the client may see; what they resolve with is durable. */
export interface Rooms extends RoomsForReaders, Finding, AsyncDisposable {
  /** @returns the room's ID */
  createRoom(wish: RoomWish): Promise<string>
  /** @returns the ID of the room that replaces it */
  upgradeRoom(wish: UpgradeWish): Promise<string>
  /** A user came to the room that replaces one of theirs; awaited before the join is answered. @returns a function that ends it */
  onMoved(listener: (move: Move) => Promise<void>): () => void
  /** @returns the event's ID */
  send(message: Sending & { readonly type: string; readonly content: JsonObject }): Promise<string>
  redact(redaction: Sending & { readonly eventId: string; readonly reason: string | undefined }): Promise<string>
  /** Sets any piece of state, memberships too. @returns the event's ID */
  setState(setting: {
    readonly roomId: string
    readonly requester: Requester
    readonly type: string
    readonly stateKey: string
    readonly content: JsonObject
    readonly createdTs?: number | undefined
  }): Promise<string>
  /** Events that are sent later. */
  readonly delayed: DelayedEventsOfUser
  /** What other servers may ask of us. */
  readonly forServers: ForServers
  /** What other servers are to have from us. */
  readonly owed: OwedPdus & Pick<OwedEvents, 'onOwed'>
  /** For how long messages are kept. */
  readonly retention: Pick<Retention, 'settings' | 'set'>
  /** By room, what of its messages nobody is shown any more: those from before a time, or a place in the timeline. */
  expired(): Promise<ReadonlyMap<string, Bounds>>
  /** Hides all messages from before an event, and purges them soon. @throws MatrixError 404 M_NOT_FOUND */
  purgeHistory(roomId: string, eventId: string): Promise<void>
  /** @returns the ID of the room that the ID or alias names */
  resolve(roomIdOrAlias: string): Promise<string>
  /** The same with servers that are in it, as the server of the alias knows them. */
  locate(roomIdOrAlias: string): ReturnType<typeof locateRoom>
  join(action: Parameters<typeof members.join>[2]): Promise<void>
  knock(action: members.OwnAction & members.Entry): Promise<void>
  leave(action: members.OwnAction): Promise<void>
  /** A message of the server to one of its users. */
  sendNotice(notice: Notice): ReturnType<typeof sendNotice>
  forget(roomId: string, userId: string): Promise<void>
  invite(action: members.MemberAction): Promise<void>
  kick(action: members.MemberAction): Promise<void>
  ban(action: members.MemberAction): Promise<void>
  unban(action: members.MemberAction): Promise<void>
  addAlias(adding: {
    readonly alias: string
    readonly roomId: string
    readonly userId: string
    readonly appserviceId?: string | undefined
  }): Promise<void>
  removeAlias(removing: {
    readonly alias: string
    readonly userId: string
    readonly isAdmin: boolean
    readonly appserviceId?: string | undefined
  }): Promise<void>
  /** The room that an alias of this server leads to. */
  findAlias(alias: string): Promise<string | undefined>
  listAliases(roomId: string, userId: string): Promise<readonly string[]>

  /** Events come as JSON text, as the reader sees them. */
  readState(reader: Reader): Promise<readonly string[]>
  readStateEvent(
    reader: Reader,
    wanted: { readonly type: string; readonly stateKey: string; readonly format: 'content' | 'event' },
  ): Promise<string>
  readMembers(reader: Reader, wish: MembersWish): Promise<readonly string[]>
  readJoinedMembers(reader: Parameters<typeof readJoinedMembers>[2]): ReturnType<typeof readJoinedMembers>
  readEvent(reader: Reader, eventId: string): Promise<string>
  readReportable(reader: Reader, eventId: string): ReturnType<typeof readReportable>
  readPage(reader: Reader, wish: PageWish): Promise<Page>
  readPreview(reader: Reader): Promise<Preview>
  readContext(
    reader: Reader,
    wish: { readonly eventId: string; readonly limit: number | undefined; readonly filter: TimelineFilter },
  ): Promise<Context>

  listPublished(wish: DirectoryWish): Promise<DirectoryPage>
  /** The directory of another server. @throws MatrixError 502, 403 */
  listPublishedElsewhere(server: string, wish: DirectoryWish): Promise<DirectoryPage>
  isPublished(roomId: string): Promise<boolean>
  setPublished(setting: {
    readonly roomId: string
    readonly userId: string
    readonly isAdmin: boolean
    readonly isPublished: boolean
  }): Promise<void>

  /** Lists a room under a network of an application service, or takes it off. */
  setNetworkListing(setting: {
    readonly instanceId: string
    readonly roomId: string
    readonly isListed: boolean
  }): Promise<void>

  /** Rooms with a change after this stream position; no room is opened. */
  changedSince(position: number): readonly string[]
  /** The invites of our users to a room, where this server is not in it. */
  invitesElsewhere(roomId: string): Promise<readonly InviteElsewhere[]>
  /** Rooms of others in which a membership of our users changed after this stream position. */
  elsewhereSince(position: number): Promise<readonly string[]>
  /** All aliases of this server that lead to the room. */
  aliasesOf(roomId: string): Promise<readonly string[]>

  /** What other servers send unasked. */
  readonly incoming: Incoming
  /**
   * Takes in one event that another server sent, for whoever has checked the room's ACL.
   * @returns when it is judged, or what it lacks was asked for in vain
   * @throws MatrixError 404 M_NOT_FOUND for a room that this server does not know
   */
  receive(received: Received): Promise<Reception>

  /** Goes on with what a stop has interrupted; to be called when all have subscribed. */
  resume(): Promise<void>
  /** Resolves when no changed profile and no deactivated user is still being carried into rooms. */
  choresDone(): Promise<void>
}

export interface RoomsParts {
  readonly environment: Environment
  readonly store: Store
  readonly signingKey: SigningKey
  readonly accounts: AccountsForReaders
  readonly config: RoomsConfig
  /** Other servers; without them nobody but our own users is reached. */
  readonly peers?: Peers
  readonly claims?: Claims
  readonly policyServers?: PolicyServers
  readonly isKeyValid?: IsKeyValid
  readonly media?: MediaReferences
}

/** Builds the slice; reads the index of rooms, but opens none. */
export async function createRooms(parts: RoomsParts): Promise<Rooms> {
  const { environment, store } = parts
  const changes = new Map<string, number>()
  const owedChanges = new Map<string, number>()
  for (const { roomId, position, owed } of await store.home.range(roomChanges, { index: 'roomId' })) {
    changes.set(roomId, position)
    if (owed > 0) owedChanges.set(roomId, owed)
  }
  const core: RoomsCore = {
    ...parts,
    peers: parts.peers,
    claims: parts.claims,
    isKeyValid: parts.isKeyValid,
    policyServers: parts.policyServers,
    inviteThrottle: new InviteThrottle(environment.clock),
    announcer: new Announcer(store, environment.logger),
    memberships: new Memberships(store),
    retention: await Retention.open(store, environment.clock),
    erasures: await Erasures.open(store, environment),
    erased: new Set(await parts.accounts.listErased()),
    media: parts.media,
    changes,
    owedChanges,
    moveListeners: new Set(),
    fetchMembers: (roomId) => completion.begin(roomId),
    isLocal: (userId) => serverNameOf(userId) === environment.serverName,
  }
  const open = new OpenRooms(core)
  const owed = new OwedEvents(core)
  const chores = new Chores(core, open)
  const delayed = new DelayedEvents(core, open)
  const purge = new Purge(core, open)
  const inbound = new Inbound(core, open)
  const history = new History(core, open)
  const ends = new JoinEnds(core, open)
  const completion = new Completion(core, open, (roomId) => inbound.membersKnown(roomId))
  const note = (kind: 'profile' | 'leave', userId: string): Promise<void> =>
    chores.begin(kind, userId).catch((error: unknown) => {
      environment.logger.error({ event: 'rooms.chore.lost', chore: kind, userId, error: String(error) })
      throw error
    })
  const unsubscribe = [
    core.announcer.onEvent(({ event: { pdu } }) => {
      if (pdu.type === 'm.room.retention' && pdu.state_key === '') purge.start()
    }),
    parts.accounts.onProfileChanged(({ userId }) => note('profile', userId)),
    parts.accounts.onDeactivated(async ({ userId, erase }) => {
      if (erase) core.erased.add(userId)
      await delayed.cancelAllOf(userId)
      await note('leave', userId)
    }),
  ]
  return {
    ...roomsForReaders(core, open),
    ...createFinding(core, open, history),
    createRoom: (wish) => createRoom(core, open, wish),
    upgradeRoom: (wish) => upgradeRoom(core, open, wish),
    onMoved(listener) {
      core.moveListeners.add(listener)
      return () => core.moveListeners.delete(listener)
    },
    send: (message) => sendMessage(core, open, message),
    redact: (redaction) => redactEvent(core, open, redaction),
    async setState(setting) {
      const { requester, stateKey: target, ...rest } = setting
      const { userId: sender, isGuest } = requester
      await requireMaySetState(core, setting)
      return setting.type === 'm.room.member'
        ? putMembership(core, open, { ...rest, sender, target, isGuest })
        : setState(core, open, { ...rest, sender, stateKey: target })
    },
    delayed,
    forServers: createForServers(core, open),
    owed,
    retention: core.retention,
    expired: () => core.retention.boundsOfAll(changes.keys()),
    purgeHistory: (roomId, eventId) => purge.purgeHistory(roomId, eventId),
    resolve: (roomIdOrAlias) => resolveRoom(core, roomIdOrAlias),
    locate: (roomIdOrAlias) => locateRoom(core, roomIdOrAlias),
    join: (action) => members.join(core, open, action),
    knock: (action) => members.knock(core, open, action),
    async leave(action) {
      await requireMayDecline(core, action.userId, action.roomId)
      await members.leave(core, open, action)
    },
    sendNotice: (notice) => sendNotice(core, open, notice),
    forget: (roomId, userId) => members.forget(core, open, roomId, userId),
    invite: (action) => members.invite(core, open, action),
    kick: (action) => members.kick(core, open, action),
    ban: (action) => members.ban(core, open, action),
    unban: (action) => members.unban(core, open, action),
    addAlias: (adding) => addAlias(core, open, adding),
    removeAlias: (removing) => removeAlias(core, open, removing),
    findAlias: (alias) => findAlias(core, alias),
    listAliases: (roomId, userId) => listAliasesFor(core, open, roomId, userId),
    readState: (reader) => readState(core, open, reader),
    readStateEvent: (reader, wanted) => readStateEvent(core, open, reader, wanted),
    readMembers: (reader, wish) => readMembers(core, open, reader, wish),
    readJoinedMembers: (reader) => readJoinedMembers(core, open, reader),
    readEvent: (reader, eventId) =>
      readFetching(core, open, history, reader, eventId, () => readEventById(core, open, reader, eventId)),
    readReportable: (reader, eventId) => readReportable(core, open, reader, eventId),
    readPage: (reader, wish) => readPage(core, open, history, reader, wish),
    readPreview: (reader) => readPreview(core, open, reader),
    readContext: (reader, wish) => readContext(core, open, history, reader, wish),
    listPublished: (wish) => listPublished(core, open, wish),
    listPublishedElsewhere: (server, wish) => listPublishedElsewhere(core, server, wish),
    isPublished: (roomId) => isPublished(core, roomId),
    setPublished: (setting) => setPublished(core, open, setting),
    setNetworkListing: (setting) => setNetworkListing(core, open, setting),
    changedSince: (position) => [...changes].filter(([, last]) => last > position).map(([roomId]) => roomId),
    invitesElsewhere: (roomId) => invitesElsewhere(core, open, roomId),
    elsewhereSince: (position) => elsewhereSince(core, position),
    aliasesOf: (roomId) => listAliases(core, roomId),
    incoming: createIncoming(core, open, inbound),
    receive: (received) => inbound.receive(received),
    async resume() {
      await takeAwayUnfinished(core)
      await completion.resume()
      await inbound.resume()
      await chores.resume()
      delayed.resume()
      purge.start()
      core.erasures.start()
    },
    async choresDone() {
      await chores.settled()
      await delayed.settled()
      await completion.settled()
      await inbound.settled()
      await history.settled()
      await ends.settled()
      await purge.settled()
      await core.erasures.settled()
    },
    async [Symbol.asyncDispose]() {
      for (const end of unsubscribe) end()
      await completion[Symbol.asyncDispose]()
      owed[Symbol.dispose]()
      await inbound.close()
      await ends.close()
      await history.close()
      await delayed.close()
      await purge.close()
      await core.erasures.close()
      await chores.close()
      await open[Symbol.asyncDispose]()
    },
  }
}
