/**
 * Who is typing where. Kept in memory alone: whoever still types after a restart says so again within seconds.
 * Spec: client-server-api §Typing Notifications.
 */
import { forbidden } from '../../shared/matrix/errors.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Environment } from '../observe/environment.ts'
import type { RoomsForReaders } from '../rooms/index.ts'
import { Listeners } from './listeners.ts'
import type { Serial } from './serial.ts'

/** What a client that names no timeout gets, and the most that any gets. Milliseconds. */
const DEFAULT_TIMEOUT_MS = 30_000
const MAX_TIMEOUT_MS = 120_000
/** Users of other servers stop by themselves when their server says nothing more for so long. */
const REMOTE_TIMEOUT_MS = 60_000
/** So many of other servers' users may type in one room at once; more are not shown. */
const MAX_REMOTE_IN_ROOM = 100

export interface TypingChange {
  readonly roomId: string
  readonly userId: string
  readonly typing: boolean
  /** Whether the user is ours, so that other servers must hear of it. */
  readonly isLocal: boolean
  /** The serial of the room's list after the change. */
  readonly serial: number
  /** They typed already: the list is as before, but other servers must hear that it goes on. */
  readonly isRefresh: boolean
}

export interface Typing {
  /**
   * A local user starts, goes on or stops typing. Starting anew takes the place of the timeout before.
   * @param timeoutMs at most 120,000; 30,000 without it
   * @throws MatrixError 403 M_FORBIDDEN where they are not joined
   */
  set(change: {
    readonly roomId: string
    readonly userId: string
    readonly typing: boolean
    readonly timeoutMs?: number | undefined
  }): Promise<void>
  /** What another server says of its user (`m.typing` EDU). Unknown rooms and users who are not joined are ignored. */
  receive(change: { readonly roomId: string; readonly userId: string; readonly typing: boolean }): Promise<void>
  /** Those who type in the room, in the order in which they began. */
  inRoom(roomId: string): readonly string[]
  /** The serial of the last change in the room, 0 without any since the start. */
  lastSerial(roomId: string): number
  /** Rooms in which something changed after this serial, newest first. */
  changedSince(serial: number): readonly string[]
  /** Rooms in which somebody types now. */
  roomsInUse(): ReadonlySet<string>
  onChange(listener: (change: TypingChange) => void): () => void
}

interface RoomTyping {
  readonly roomId: string
  serial: number
  /** By user: what ends the waiting for their timeout. */
  readonly users: Map<string, () => void>
  list: readonly string[]
}

export function createTyping(deps: {
  readonly environment: Environment
  readonly rooms: RoomsForReaders
  readonly serial: Serial
}): Typing & Disposable {
  const { environment, rooms, serial } = deps
  const byRoom = new Map<string, RoomTyping>()
  /** The same by serial, oldest first. */
  const bySerial: RoomTyping[] = []
  const inUse = new Set<string>()
  const listeners = new Listeners<TypingChange>()
  const isLocal = (userId: string): boolean => serverNameOf(userId) === environment.serverName

  function changed(room: RoomTyping, change: Pick<TypingChange, 'roomId' | 'userId' | 'typing'>): void {
    const at = bySerial.indexOf(room)
    if (at !== -1) bySerial.splice(at, 1)
    bySerial.push(room)
    room.serial = serial.next()
    room.list = [...room.users.keys()]
    if (room.list.length > 0) inUse.add(change.roomId)
    else inUse.delete(change.roomId)
    listeners.tell({ ...change, isLocal: isLocal(change.userId), serial: room.serial, isRefresh: false })
  }

  function start(roomId: string, userId: string, timeoutMs: number): void {
    const room = byRoom.get(roomId) ?? { roomId, serial: 0, users: new Map(), list: [] }
    byRoom.set(roomId, room)
    const cancelBefore = room.users.get(userId)
    cancelBefore?.()
    room.users.set(
      userId,
      environment.clock.after(timeoutMs, () => stop(roomId, userId)),
    )
    if (cancelBefore === undefined) changed(room, { roomId, userId, typing: true })
    else
      listeners.tell({ roomId, userId, typing: true, isLocal: isLocal(userId), serial: room.serial, isRefresh: true })
  }

  function stop(roomId: string, userId: string): void {
    const room = byRoom.get(roomId)
    const cancel = room?.users.get(userId)
    if (room === undefined || cancel === undefined) return
    cancel()
    room.users.delete(userId)
    changed(room, { roomId, userId, typing: false })
  }

  const endSubscription = rooms.onEvent(({ event, roomId }) => {
    const { pdu } = event
    if (pdu.type !== 'm.room.member' || pdu.state_key === undefined || pdu.content.membership === 'join') return
    if (!event.isSoftFailed && !event.isRejected) stop(roomId, pdu.state_key)
  })

  return {
    async set({ roomId, userId, typing, timeoutMs = DEFAULT_TIMEOUT_MS }) {
      const membership = await rooms.findMembership(userId, roomId)
      if (membership?.membership !== 'join') throw forbidden('You are not in this room')
      const bounded = Math.min(timeoutMs, MAX_TIMEOUT_MS)
      if (typing && bounded > 0) start(roomId, userId, bounded)
      else stop(roomId, userId)
    },

    async receive({ roomId, userId, typing }) {
      if (!typing) return stop(roomId, userId)
      const joined = await rooms.joinedUsers(roomId)
      if (!joined.has(userId)) return
      const room = byRoom.get(roomId)
      if (room !== undefined && room.users.size >= MAX_REMOTE_IN_ROOM && !room.users.has(userId)) return
      start(roomId, userId, REMOTE_TIMEOUT_MS)
    },

    inRoom: (roomId) => byRoom.get(roomId)?.list ?? [],
    lastSerial: (roomId) => byRoom.get(roomId)?.serial ?? 0,
    changedSince(since) {
      const changed: string[] = []
      for (let i = bySerial.length - 1; i >= 0 && (bySerial[i] as RoomTyping).serial > since; i -= 1) {
        changed.push((bySerial[i] as RoomTyping).roomId)
      }
      return changed
    },
    roomsInUse: () => inUse,
    onChange: (listener) => listeners.add(listener),

    [Symbol.dispose]() {
      endSubscription()
      for (const room of byRoom.values()) for (const cancel of room.users.values()) cancel()
      byRoom.clear()
    },
  }
}
