import {
  createClient,
  type ICreateClientOpts,
  IndexedDBStore,
  type MatrixClient,
  MatrixScheduler,
  MemoryStore,
} from 'matrix-js-sdk'
import { type Logger, logger } from 'matrix-js-sdk/lib/logger'
import type { Credentials } from './credentials.ts'
import type { KeyHolder } from './keys.ts'
import { cryptoDatabasePrefix, syncDatabaseName } from './stored-data.ts'
import type { TokenKeeper } from './token-keeper.ts'

const silent = (): void => undefined

/**
 * The SDK tells every request and every key; we keep its warnings. What it calls errors is one too: a lost connection, a
 * refused request. The page itself shows those to the person, and an error in the console is left for faults of ours.
 */
const WARNINGS: Logger = {
  trace: silent,
  debug: silent,
  info: silent,
  warn: (...words) => console.warn(...words),
  error: (...words) => console.warn(...words),
  getChild: () => WARNINGS,
}

/** The same for the parts of the SDK that use its logger for everybody. Its type hides that it has levels. */
function quieten(shared: object): void {
  if ('methodFactory' in shared && typeof shared.methodFactory === 'function') {
    const make = shared.methodFactory
    shared.methodFactory = (method: string, ...rest: unknown[]): unknown =>
      make(method === 'error' ? 'warn' : method, ...rest)
  }
  if ('setLevel' in shared && typeof shared.setLevel === 'function') shared.setLevel('warn', false)
}

/** The SDK's store without its memory of unsent events: our own queue keeps those, in the clear and until they are sent. */
class SyncStore extends IndexedDBStore {
  override getPendingEvents(): Promise<[]> {
    return Promise.resolve([])
  }

  override setPendingEvents(): Promise<void> {
    return Promise.resolve()
  }
}

/**
 * An SDK client with storage and cryptography ready, not yet syncing.
 * @param options `indexedDB`: without one (Node) everything lives in memory
 */
export async function prepareClient(options: {
  credentials: Credentials
  keeper: TokenKeeper
  holder: KeyHolder
  indexedDB: IDBFactory | undefined
}): Promise<MatrixClient> {
  const { credentials, keeper, holder, indexedDB } = options
  quieten(logger)
  const store = indexedDB ? new SyncStore({ indexedDB, dbName: syncDatabaseName(credentials) }) : new MemoryStore({})
  const settings: ICreateClientOpts = {
    baseUrl: credentials.baseUrl,
    userId: credentials.userId,
    deviceId: credentials.deviceId,
    accessToken: credentials.accessToken,
    fetchFn: keeper.fetch,
    store,
    logger: WARNINGS,
    // no queue and no second try of the SDK's own: see `outbox.ts`
    scheduler: new MatrixScheduler(
      () => -1,
      () => null,
    ),
    localTimeoutMs: 60_000,
    fallbackICEServerAllowed: false,
    useE2eForGroupCall: false,
    disableVoip: true,
    cryptoCallbacks: {
      getSecretStorageKey: ({ keys }) => {
        const { keyId, key } = holder
        return Promise.resolve(keyId !== undefined && key && keyId in keys ? [keyId, key] : null)
      },
      cacheSecretStorageKey: (keyId, _info, key) => {
        holder.keyId = keyId
        holder.key = new Uint8Array(key)
      },
    },
  }
  const client = createClient(settings)
  await store.startup()
  await client.initRustCrypto({
    useIndexedDB: indexedDB !== undefined,
    cryptoDatabasePrefix: cryptoDatabasePrefix(credentials),
  })
  return client
}
