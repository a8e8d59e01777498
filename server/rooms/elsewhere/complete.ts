/**
 * Brings the members of rooms that were joined without them. The states since the join are stored as what they change in the
 * one before it, so that this one is completed where it stands, and all that build on it are complete with it.
 */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { Peers } from '../../federation/index.ts'
import { type Op, remove } from '../../store/index.ts'
import { NO_CHANGES } from '../aggregates.ts'
import type { RoomsCore } from '../core.ts'
import { type KeptEvent, membershipIn } from '../event.ts'
import { allMembers } from '../heads.ts'
import type { MembershipChange, OpenRoom } from '../open-room.ts'
import type { OpenRooms } from '../open-rooms.ts'
import { type PartialState, partialRooms } from '../partial-state.ts'
import { Inquiry, serversToAsk } from '../receive/inquiry.ts'
import { receiveOutliers } from '../receive/outliers.ts'
import { serverChangeOps } from '../room-servers.ts'
import { StateMap, stateSlot } from '../state-map.ts'
import { events } from '../store.ts'
import { strippedStateFor } from '../stripped-state.ts'
import { checkState } from './bring-in.ts'
import { isElsewhere } from './outside.ts'
import { badAnswer } from './servers.ts'

const FIRST_RETRY_MS = 5_000
const LONGEST_RETRY_MS = 600_000
/** At the start so many rooms are tried at once. */
const PARALLEL = 4
/** So many servers are asked in one try, within this time. */
const MAX_SERVERS = 5
const TRYING_MS = 300_000

/** Rooms whose members are being fetched. */
export class Completion implements AsyncDisposable {
  readonly #core: RoomsCore
  readonly #rooms: OpenRooms
  readonly #onCompleted: (roomId: string) => Promise<void>
  /** By room ID: when the try that is under way, or the next one, has ended. */
  readonly #tries = new Map<string, Promise<void>>()
  readonly #cancels = new Map<string, () => void>()
  /** What is being kept of answers. */
  readonly #keeping = new Set<Promise<unknown>>()
  #isClosed = false

  /** @param onCompleted told of each room whose members are known from then on */
  constructor(core: RoomsCore, rooms: OpenRooms, onCompleted: (roomId: string) => Promise<void>) {
    this.#core = core
    this.#rooms = rooms
    this.#onCompleted = onCompleted
  }

  /** Goes on with what a stop has interrupted, a few rooms at a time. */
  async resume(): Promise<void> {
    const rows = await this.#core.store.home.range(partialRooms, { index: 'roomId' })
    const left = rows.values()
    const inTurn = async (): Promise<void> => {
      for (const { roomId } of left) await this.begin(roomId)
    }
    for (let i = 0; i < Math.min(PARALLEL, rows.length); i += 1) void inTurn()
  }

  /** Fetches a room's members, however long that takes. @returns when the first try has ended, one way or the other */
  begin(roomId: string): Promise<void> {
    const known = this.#tries.get(roomId)
    if (known || this.#isClosed) return known ?? Promise.resolve()
    this.#cancels.get(roomId)?.()
    this.#cancels.delete(roomId)
    return this.#try(roomId, FIRST_RETRY_MS)
  }

  /** Resolves when no try is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#tries.values())
  }

  /** Does not wait for other servers: what they answer from now on is not looked at. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const cancel of this.#cancels.values()) cancel()
    await Promise.allSettled(this.#keeping)
  }

  /** Runs what writes, unless it is too late for that. */
  async #keep<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new Error('the server is being stopped')
    const keeping = work()
    this.#keeping.add(keeping)
    try {
      return await keeping
    } finally {
      this.#keeping.delete(keeping)
    }
  }

  #try(roomId: string, retryMs: number): Promise<void> {
    const trying = this.#run(roomId, retryMs).finally(() => this.#tries.delete(roomId))
    this.#tries.set(roomId, trying)
    return trying
  }

  async #run(roomId: string, retryMs: number): Promise<void> {
    const { logger, clock } = this.#core.environment
    try {
      using held = await this.#rooms.hold(roomId)
      // Nobody tells its members to a server that has left.
      if (!held?.room.partial || isElsewhere(this.#core, held.room)) return
      if (await completeRoom(this.#core, held.room, held.room.partial, (work) => this.#keep(work)))
        return await this.#onCompleted(roomId)
    } catch (error) {
      logger.warn({ event: 'rooms.partial.failed', roomId, error: String(error) })
    }
    if (this.#isClosed) return
    const cancel = clock.after(retryMs, () => {
      this.#cancels.delete(roomId)
      if (!this.#isClosed) void this.#try(roomId, Math.min(2 * retryMs, LONGEST_RETRY_MS))
    })
    this.#cancels.set(roomId, cancel)
  }
}

/** @returns whether all members are known now, and durable */
async function completeRoom(
  core: RoomsCore,
  room: OpenRoom,
  partial: PartialState,
  keep: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<boolean> {
  const servers = serversToAsk(core, room, [partial.from], MAX_SERVERS)
  const inquiry = new Inquiry(core, servers, TRYING_MS)
  const { logger } = core.environment
  const found = await inquiry.first(async (peers: Peers, server) => {
    const answer = await peers.state(server, room.roomId, partial.joinEventId)
    const stateIds = checkState(server, room, answer.state)
    // The one that let us in is believed what it says of servers that are gone; others as `vouchersFor` has it.
    const vouchers = server === partial.from ? [server] : undefined
    await keep(() => receiveOutliers(core, room, [...answer.authChain, ...answer.state], server, vouchers))
    // Some servers give the state after an event.
    const before = stateIds.filter((eventId) => eventId !== partial.joinEventId)
    const members = await membersIn(room, before)
    if (server !== partial.from) requireServers(server, partial, members)
    return members
  })
  if (!found) return false
  await keep(async () => {
    const staged = await room.enter(async () => {
      // What is under way is in no row yet that could be completed.
      await room.flushed()
      // Who left and came back has another state to be completed.
      if (room.partial !== partial) return []
      return stageMembers(core, room, partial, found.answer)
    })
    await Promise.all(staged)
  })
  logger.info({ event: 'rooms.partial.completed', roomId: room.roomId, from: found.server })
  return true
}

/** The share of servers that may have gone between two answers about the same moment, or are not known to one of the two. */
const MAX_UNNAMED_SHARE = 0.1

/**
 * Another server than the one that let us in must not leave members out for good: its answer names those of the servers that
 * we were told are in the room, but for a few.
 * @throws RemoteError
 */
function requireServers(server: string, { servers }: PartialState, members: readonly KeptEvent[]): void {
  const named = new Set<string>()
  for (const event of members) {
    if (membershipIn(event) === 'join') named.add(serverNameOf(event.pdu.state_key ?? ''))
  }
  const unnamed = [...servers].filter((one) => !named.has(one)).length
  if (unnamed > servers.size * MAX_UNNAMED_SHARE) throw badAnswer(server, 'it leaves out members of the room')
}

/** The members that a state names, as far as they are known and not rejected. */
async function membersIn(room: OpenRoom, stateIds: readonly string[]): Promise<readonly KeptEvent[]> {
  const members: KeptEvent[] = []
  for (const eventId of stateIds) {
    const event = await room.find(eventId)
    if (event?.pdu.type === 'm.room.member' && event.isState && !event.isRejected) members.push(event)
  }
  return members
}

/** Only within `room.enter`, when nothing is on its way to the disk. @returns when it is */
async function stageMembers(
  core: RoomsCore,
  room: OpenRoom,
  partial: PartialState,
  members: readonly KeptEvent[],
): Promise<Promise<void>[]> {
  const { roomId, head } = room
  const added = members.filter((event) => !head.state.get('m.room.member', event.pdu.state_key))
  const state = StateMap.of([...head.state.all(), ...added])
  const heads = { ...head, state, ...allMembers(state) }
  const since = await eventsSince(room, partial.joinEventId)
  const [join] = since
  // It brings the change along, and is written nowhere itself.
  const outlier = [...added, ...state.all()].find(({ order }) => order === null)
  if (!join || !outlier) throw new Error(`nothing of ${roomId} came from elsewhere`)
  const serverOps = await serverChangeOps(core, room, join, { before: head.servers, after: heads.servers })
  const memberships = await ownMemberships(core, room, added, state)
  const groupOps = await fillGroups(room, partial, since, members)
  const unfounded = await unfoundedMessages(room, since)
  room.partial = undefined
  room.forgetStates()
  const durable = room.stage({
    event: outlier,
    heads,
    changes: added.map((after) => {
      return { type: 'm.room.member', stateKey: after.pdu.state_key ?? '', before: undefined, after }
    }),
    memberships,
    groupIds: [],
    redacted: unfounded,
    aggregates: NO_CHANGES,
    ops: (position) => [...groupOps, ...serverOps(position), remove(partialRooms, roomId)],
  })
  const completed = durable.then(
    () => tell(core, room, partial, added),
    (error: unknown) => {
      room.partial = partial
      room.groups.forgetRead()
      throw error
    },
  )
  return [completed]
}

/** What came with the join and after it, in its order. */
async function eventsSince(room: OpenRoom, joinEventId: string): Promise<readonly KeptEvent[]> {
  const join = await room.find(joinEventId)
  if (join?.order == null) return []
  return room.reader.completeAll(await room.lease.range(events, { index: 'order', from: join.order }))
}

/**
 * Completes the state before the join, and each that was stored whole since: what builds on these has the members then. States
 * that other servers gave name their members themselves.
 */
async function fillGroups(
  room: OpenRoom,
  partial: PartialState,
  since: readonly KeptEvent[],
  members: readonly KeptEvent[],
): Promise<readonly Op[]> {
  const slots = new Map(members.map(({ eventId, pdu }) => [stateSlot('m.room.member', pdu.state_key ?? ''), eventId]))
  const groups = new Set([partial.group, room.head.group, ...room.head.extremities.map(({ group }) => group)])
  for (const { groupBefore, groupAfter } of since) groups.add(groupBefore).add(groupAfter)
  const roots = new Set<number>()
  for (const group of groups) {
    const line = await room.groups.lineOf(group)
    // Where a line leads to the state before the join, that is where it is completed.
    const root = line.includes(partial.group) ? partial.group : line.at(-1)
    if (root !== undefined && root >= partial.group) roots.add(root)
  }
  const ops: Op[] = []
  for (const root of roots) ops.push(await room.groups.fill(root, slots))
  return ops
}

/** Messages whose senders seemed to be in the room, and were not: they are hidden, as if they had come today. */
async function unfoundedMessages(room: OpenRoom, since: readonly KeptEvent[]): Promise<readonly KeptEvent[]> {
  const unfounded: KeptEvent[] = []
  for (const event of since) {
    if (event.isState || event.isHidden) continue
    const eventId = await room.groups.find(event.groupBefore, stateSlot('m.room.member', event.pdu.sender))
    const member = eventId === null ? undefined : await room.find(eventId)
    if (membershipIn(member) !== 'join') unfounded.push(event.with({ isSoftFailed: true }))
  }
  return unfounded
}

/** Those of our users whom the room knows as something else than we do. */
async function ownMemberships(
  core: RoomsCore,
  room: OpenRoom,
  added: readonly KeptEvent[],
  state: StateMap,
): Promise<readonly MembershipChange[]> {
  const changes: MembershipChange[] = []
  for (const event of added) {
    const userId = event.pdu.state_key ?? ''
    const membership = membershipIn(event)
    if (!core.isLocal(userId) || membership === undefined) continue
    const now = await room.membershipAtHead(userId)
    if (now?.eventId === event.eventId) continue
    const isAsked = membership === 'invite' || membership === 'knock'
    changes.push({
      roomId: room.roomId,
      userId,
      membership,
      eventId: event.eventId,
      sender: event.pdu.sender,
      previous: now?.membership ?? null,
      isForgotten: !isAsked && membership !== 'join' && (now?.isForgotten ?? false),
      strippedState: isAsked ? strippedStateFor(event, state) : undefined,
      joinOrder: now?.joinOrder ?? null,
      leftOrder: now?.leftOrder ?? null,
      leftGroup: now?.leftGroup ?? null,
    })
  }
  return changes
}

/** Those who follow the room hear that there is news: the members are part of its state from now on. */
async function tell(
  core: RoomsCore,
  room: OpenRoom,
  partial: PartialState,
  added: readonly KeptEvent[],
): Promise<void> {
  partial.completed.resolve()
  const [event] = added
  if (!event) return
  const { roomId, visible } = room
  let settle: ReturnType<RoomsCore['announcer']['issue']> | undefined
  let position = 0
  try {
    await core.store.commit((assigned) => {
      position = assigned
      settle = core.announcer.issue(assigned)
      return []
    })
  } finally {
    settle?.([{ position, event, roomId, concerned: visible.joined, servers: [] }])
  }
}
