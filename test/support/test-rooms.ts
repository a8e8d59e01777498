/** The slice `rooms/` by itself, on a store in memory, with accounts that are only names. */
import type { AccountsForReaders, Deactivation, Profile, Requester } from '../../server/accounts/index.ts'
import type { Peers } from '../../server/federation/index.ts'
import type { Environment } from '../../server/observe/environment.ts'
import type { PolicyServers } from '../../server/policy/index.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import { createRooms, type Rooms } from '../../server/rooms/index.ts'
import type { Store } from '../../server/store/index.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'
import { openMemoryStore } from './memory-store.ts'
import { seededRandom } from './seeded-random.ts'

export interface TestRooms extends AsyncDisposable {
  readonly rooms: Rooms
  readonly store: Store
  readonly clock: ManualClock
  readonly environment: Environment
  readonly signingKey: SigningKey
  /** A user of this server: `@name:hearth.test`. */
  user(name: string, device?: string): Requester
  setProfile(userId: string, profile: Profile): Promise<void>
  /** @param erase whether their messages go, too */
  deactivate(userId: string, erase?: boolean): Promise<void>
  setAccountData(userId: string, type: string, content: Profile): void
  /** The same data, opened anew. */
  reopen(): Promise<TestRooms>
}

export const SERVER_NAME = 'hearth.test'

/** @param options.store kept from one to the next, as a folder would be */
export async function startTestRooms(
  options: {
    readonly store?: Store
    readonly peers?: Peers
    readonly policyServers?: PolicyServers
    readonly defaultRoomVersion?: string
    /** Without it `SERVER_NAME`. */
    readonly serverName?: string
    readonly clock?: ManualClock
    /** Another one for each of several servers. */
    readonly seed?: number
  } = {},
): Promise<TestRooms> {
  const { serverName = SERVER_NAME, clock = manualClock(), seed = 1 } = options
  const random = seededRandom(seed)
  const silent = () => undefined
  const environment: Environment = {
    serverName,
    clock,
    random,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
  }
  const store = options.store ?? openMemoryStore()
  const signingKey = makeSigningKey(Buffer.alloc(32, 6 + seed), 'test')
  const profiles = new Map<string, Profile>()
  const accountData = new Map<string, Profile>()
  const profileListeners: ((change: { userId: string; profile: Profile }) => void)[] = []
  const deactivationListeners: ((change: Deactivation) => void | Promise<void>)[] = []
  const gone = new Set<string>()
  const accounts = {
    listGuests: async () => [],
    listErased: async () => [],
    profileOf: async (userId: string) => profiles.get(userId) ?? {},
    findAccount: async (userId: string) =>
      userId.startsWith('@nobody')
        ? undefined
        : { userId, isAdmin: false, isDeactivated: gone.has(userId), createdTs: clock.now() },
    findAccountData: async (userId: string, roomId: string | null, type: string) => {
      const content = accountData.get(`${userId} ${type}`)
      return content && { userId, roomId, type, content, position: 1 }
    },
    onProfileChanged(listener: (change: { userId: string; profile: Profile }) => void) {
      profileListeners.push(listener)
      return silent
    },
    onDeactivated(listener: (change: Deactivation) => void | Promise<void>) {
      deactivationListeners.push(listener)
      return silent
    },
  } as unknown as AccountsForReaders
  const rooms = await createRooms({
    environment,
    store,
    signingKey,
    accounts,
    config: { defaultRoomVersion: options.defaultRoomVersion ?? '12' },
    ...(options.peers && { peers: options.peers }),
    ...(options.policyServers && { policyServers: options.policyServers }),
  })
  return {
    rooms,
    store,
    clock,
    environment,
    signingKey,
    user: (name, device = 'DEVICE') => ({
      userId: `@${name}:${serverName}`,
      deviceId: device,
      isAdmin: false,
      isGuest: false,
      tokenId: `${name} ${device}`,
    }),
    async setProfile(userId, profile) {
      profiles.set(userId, profile)
      for (const listener of profileListeners) listener({ userId, profile })
    },
    async deactivate(userId, erase = false) {
      gone.add(userId)
      for (const listener of deactivationListeners) await listener({ userId, erase })
    },
    setAccountData: (userId, type, content) => void accountData.set(`${userId} ${type}`, content),
    async reopen() {
      await rooms[Symbol.asyncDispose]()
      return startTestRooms({ ...options, store })
    },
    [Symbol.asyncDispose]: () => rooms[Symbol.asyncDispose](),
  }
}
