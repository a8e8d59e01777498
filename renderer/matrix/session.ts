import {
  ClientEvent,
  KnownMembership,
  PendingEventOrdering,
  type Room,
  RoomEvent,
  type RoomMember,
  RoomMemberEvent,
  SyncState,
} from 'matrix-js-sdk'
import { type Account, createAccount } from './account.ts'
import { prepareClient } from './client.ts'
import type { Credentials, KeyValueStore } from './credentials.ts'
import { personOf } from './event-rows.ts'
import { Failure, failureOf } from './failure.ts'
import { createKeyCare, type KeyCare, type KeyHolder } from './keys.ts'
import { createMediaAccess, type MediaAccess } from './media.ts'
import { createOutbox } from './outbox.ts'
import { type Fetch, requestJson } from './request.ts'
import { createRoomActions, type RoomActions } from './room-actions.ts'
import { createRoomList, type RoomList } from './room-list.ts'
import type { SendQueue } from './send-queue.ts'
import { createSignal, type Unsubscribe } from './signal.ts'
import { cryptoDatabasePrefix } from './stored-data.ts'
import { getRoom, openTimeline, type RoomTimeline } from './timeline.ts'
import { createTokenKeeper } from './token-keeper.ts'

/**
 * `starting`: nothing to show yet; `online`: up to date; `catchingUp`: connected, and reading what was missed;
 * `offline`: the server does not answer, and is being tried again.
 */
export type Connection = 'starting' | 'online' | 'catchingUp' | 'offline'

export interface Typing {
  readonly roomId: string
  /** Names of those who are writing, without ourselves. */
  readonly names: readonly string[]
}

/** Everything that a signed-in person can see and do. */
export interface Session {
  readonly userId: string
  readonly deviceId: string
  readonly baseUrl: string
  readonly connection: () => Connection
  readonly onConnection: (listener: (connection: Connection) => void) => Unsubscribe
  readonly onTyping: (listener: (typing: Typing) => void) => Unsubscribe
  readonly rooms: RoomList
  readonly actions: RoomActions
  readonly outbox: SendQueue
  readonly media: MediaAccess
  readonly keys: KeyCare
  readonly account: Account
  /** Throws `notFound` where the room is not one of ours. */
  readonly openTimeline: (roomId: string) => RoomTimeline
  readonly onMembers: (listener: (roomId: string) => void) => Unsubscribe
  /** Tries the server now instead of at the next turn. */
  readonly reconnect: () => void
  /** Lets go of the storage, so that another tab can take over. */
  readonly stop: () => Promise<void>
  /** Ends the session at the server and removes everything kept here. */
  readonly signOut: () => Promise<void>
}

export interface OpenOptions {
  readonly credentials: Credentials
  readonly storage: KeyValueStore
  /** `undefined` in Node: nothing is kept. */
  readonly indexedDB: IDBFactory | undefined
  /** New tokens, to be stored at once. */
  readonly onCredentials: (credentials: Credentials) => void
  /** The server ended the session: `soft` keeps the keys and asks for the password, `hard` is over. */
  readonly onSignedOut: (how: 'soft' | 'hard') => void
  readonly fetch?: Fetch
}

/** Opens the storage, starts the cryptography and begins to sync. Returns as soon as there is something to show. */
export async function openSession(options: OpenOptions): Promise<Session> {
  const { credentials, storage } = options
  const holder: KeyHolder = { keyId: undefined, key: undefined }
  const keeper = createTokenKeeper({
    credentials,
    onChange: options.onCredentials,
    onSignedOut: options.onSignedOut,
    ...(options.fetch ? { fetch: options.fetch } : {}),
  })
  const client = await prepareClient({ credentials, keeper, holder, indexedDB: options.indexedDB })
  const crypto = client.getCrypto()
  if (!crypto) throw new Failure('unknown', { message: 'the cryptography did not start' })

  const connected = createSignal<Connection>()
  let connection: Connection = 'starting'
  const typed = createSignal<Typing>()
  const membersChanged = createSignal<string>()

  const outbox = createOutbox(client, storage)
  const rooms = createRoomList(client)
  const keys = createKeyCare(client, crypto, holder)
  const account = createAccount(client, crypto, async (body) =>
    requestJson(
      {
        baseUrl: credentials.baseUrl,
        method: 'PUT',
        path: '/_hearth/client/v1/home',
        token: await keeper.freshToken(),
        body,
      },
      keeper.fetch,
    ),
  )

  const setConnection = (next: Connection): void => {
    if (next === connection) return
    connection = next
    connected.emit(next)
  }
  const firstSync = new Promise<void>((resolve) => {
    client.on(ClientEvent.Sync, (state, _before, data) => {
      // what was kept from last time can be read at once; what is new is still on its way
      if (state === SyncState.Prepared && data?.fromCache) {
        setConnection('catchingUp')
        resolve()
      } else if (state === SyncState.Prepared || state === SyncState.Syncing) {
        if (connection !== 'online') outbox.wake()
        setConnection('online')
        if (keys.state() === 'unknown') void keys.refresh().catch(() => undefined)
        resolve()
      } else if (state === SyncState.Catchup) setConnection('catchingUp')
      else if (state === SyncState.Error || state === SyncState.Reconnecting) {
        setConnection('offline')
        // what was kept from last time can be read without the server
        if (client.getRooms().length > 0) resolve()
      }
    })
  })
  const onMembership = (room: Room): void => {
    membersChanged.emit(room.roomId)
    outbox.wake()
  }
  const onTyping = (_event: unknown, member: RoomMember): void => {
    const room = client.getRoom(member.roomId)
    const names = (room?.getMembers() ?? [])
      .filter((other) => other.typing && other.userId !== credentials.userId)
      .map((other) => personOf(other, other.userId).name)
    typed.emit({ roomId: member.roomId, names })
  }
  const onMember = (_event: unknown, member: RoomMember): void => membersChanged.emit(member.roomId)
  client.on(RoomEvent.MyMembership, onMembership)
  client.on(RoomMemberEvent.Typing, onTyping)
  client.on(RoomMemberEvent.Membership, onMember)
  client.on(RoomMemberEvent.PowerLevel, onMember)

  const roomArrives = (roomId: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const isHere = (): boolean => client.getRoom(roomId)?.getMyMembership() === KnownMembership.Join
      const done = (): void => {
        clearTimeout(timer)
        client.off(RoomEvent.MyMembership, check)
        client.off(ClientEvent.Room, check)
      }
      const check = (): void => {
        if (!isHere()) return
        done()
        resolve()
      }
      const timer = setTimeout(() => {
        done()
        reject(new Failure('offline', { message: 'the room was made but has not arrived' }))
      }, 30_000)
      client.on(RoomEvent.MyMembership, check)
      client.on(ClientEvent.Room, check)
      check()
    })

  let isStopped = false
  const stop = async (): Promise<void> => {
    if (isStopped) return
    isStopped = true
    outbox.close()
    rooms.close()
    keys.close()
    account.close()
    client.stopClient()
    await client.store.destroy()
  }

  try {
    await client.startClient({
      initialSyncLimit: 20,
      lazyLoadMembers: true,
      pendingEventOrdering: PendingEventOrdering.Detached,
      threadSupport: false,
      disablePresence: true,
    })
    await firstSync
  } catch (error) {
    await stop()
    throw failureOf(error)
  }
  // the name is a nicety: without it the address does until the next try
  void account.start().catch(() => undefined)

  return {
    userId: credentials.userId,
    deviceId: credentials.deviceId,
    baseUrl: credentials.baseUrl,
    connection: () => connection,
    onConnection: connected.on,
    onTyping: typed.on,
    rooms,
    actions: createRoomActions(client, roomArrives),
    outbox,
    media: createMediaAccess(client, keeper),
    keys,
    account,
    openTimeline: (roomId) => openTimeline(client, getRoom(client, roomId), outbox),
    onMembers: membersChanged.on,
    reconnect: () => {
      client.retryImmediately()
      outbox.wake()
    },
    stop,
    signOut: async () => {
      let failure: Failure | undefined
      try {
        await client.logout(true)
      } catch (error) {
        failure = failureOf(error)
        // an ended session needs no ending; anything else must not leave the person signed in without knowing
        if (failure.kind !== 'signedOut') throw failure
      }
      await stop()
      await client.clearStores({ cryptoDatabasePrefix: cryptoDatabasePrefix(credentials) })
    },
  }
}
