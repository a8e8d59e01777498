/**
 * Public keys of servers: ours, those that are kept, and those that have to be asked for. A server is asked itself first;
 * where it is gone, the key servers of the configuration are asked, and only then, for the events in question alone, those
 * who gave them to us. Spec: server-server-api §Retrieving server keys.
 */
import type { Environment } from '../observe/environment.ts'
import { isKeyValidFor, listRequiredKeys, type VerifyKey } from '../protocol/event-signing.ts'
import type { JsonObject, Pdu } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import type { Store } from '../store/index.ts'
import { AtMost } from './at-most.ts'
import { createBackoff } from './backoff.ts'
import type { FederationClient, ServerKeys } from './contract.ts'
import { fetchOwnDocument, queryNotary } from './fetch-keys.ts'
import { type OwnKeys, ownDocument } from './key-document.ts'
import { KeyStore, type KnownKeys } from './key-store.ts'

export interface KeyRing extends ServerKeys {
  /** Our own document, signed. */
  ownDocument(): JsonObject
  /**
   * A key that a server may sign requests with now.
   * @returns `undefined` where it is not known and cannot be had
   */
  requestKey(serverName: string, keyId: string): Promise<string | undefined>
  /**
   * Another server's document, fetched where there is none that is good until then.
   * @param mayFetch whether the server may be asked; otherwise it is what is kept
   */
  documentOf(serverName: string, goodUntilTs: number, mayFetch: boolean): Promise<JsonObject | undefined>
}

const HOUR_MS = 60 * 60_000
/** How long a document of ours says that it is good for. */
const OWN_VALIDITY_MS = 24 * HOUR_MS
/** A document that is so new is not asked for again, whatever key it lacks. */
const REFETCH_AFTER_MS = 10_000
/** After failures the next try never waits longer: whoever signs a request or an event is there. */
const LONGEST_BACKOFF_MS = 5 * 60_000
/** Servers that are asked for keys at the same time. */
const MAX_FETCHES = 48
/** How long servers are asked for the keys of one batch of events, which may name thousands of servers that are gone. */
const BATCH_MS = 30_000

/** What a search for keys is bounded by. */
interface Search {
  readonly line: AtMost
  /** Aborted when its time is up: nobody is asked any more. */
  readonly signal: AbortSignal | undefined
}

/** What is to be known of one server. */
interface Need {
  readonly keyIds: Set<string>
  isMet(keys: ReadonlyMap<string, VerifyKey> | undefined): boolean
}

export function createKeyRing(parts: {
  readonly environment: Environment
  readonly store: Store
  readonly client: FederationClient
  readonly own: OwnKeys
  /** Servers whose word on the keys of others is taken. */
  readonly keyServers: readonly string[]
}): KeyRing {
  const { environment, client, own, keyServers } = parts
  const { clock, serverName: ownName } = environment
  const kept = new KeyStore(parts.store)
  const backoff = createBackoff({ ...environment, longestMs: LONGEST_BACKOFF_MS })
  // Apart, so that neither strangers at the door nor a join of a room with thousands of servers keeps the other waiting.
  const forRequests: Search = { line: new AtMost(MAX_FETCHES), signal: undefined }
  const lineOfEvents = new AtMost(MAX_FETCHES)
  const running = new Map<string, Promise<KnownKeys | undefined>>()
  let published: { readonly document: JsonObject; readonly madeTs: number } | undefined

  const ownKeys = new Map<string, VerifyKey>([
    ...own.oldKeys.map(
      ({ keyId, publicKey, expiredTs }) => [keyId, { publicKey, validUntilTs: expiredTs, expiredTs }] as const,
    ),
    [own.signingKey.keyId, { publicKey: own.signingKey.publicKey, validUntilTs: Number.MAX_SAFE_INTEGER }],
  ])

  /** The newest that the server itself says, or what was known where it says nothing. */
  function fetch(serverName: string, known: KnownKeys | undefined, search: Search): Promise<KnownKeys | undefined> {
    const asked = running.get(serverName)
    if (asked) return asked
    const isNew = known !== undefined && clock.now() - known.document.fetchedTs < REFETCH_AFTER_MS
    if (isNew || backoff.retryTs(serverName) !== undefined) return Promise.resolve(known)
    const asking = search.line
      .run(async () => (search.signal?.aborted ? 'too late' : fetchOwnDocument(environment, client, serverName)))
      .then((document) => {
        if (document === 'too late') return known
        if (!document) {
          backoff.failed(serverName)
          return known
        }
        backoff.heardFrom(serverName)
        return kept.put(document)
      })
      .finally(() => running.delete(serverName))
    running.set(serverName, asking)
    return asking
  }

  /** Asks the key servers for what their own servers did not give. */
  async function askKeyServers(
    needs: ReadonlyMap<string, Need>,
    found: Map<string, KnownKeys>,
    search: Search,
  ): Promise<void> {
    for (const notary of keyServers) {
      const open = openOf(needs, found)
      if (open.length === 0) return
      const notaryKeys = notary === ownName ? undefined : await knownOrFetched(notary, search)
      if (!notaryKeys) continue
      const notaryKeyOf = (keyId: string): string | undefined => currentKey(notaryKeys, keyId)
      for (const document of await queryNotary(environment, client, { notary, servers: open, notaryKeyOf })) {
        const before = await kept.find(document.serverName)
        // What the server said itself is not taken back on another's word.
        if (before && before.document.validUntilTs >= document.validUntilTs) continue
        found.set(document.serverName, await kept.put(document))
      }
    }
  }

  async function knownOrFetched(serverName: string, search: Search): Promise<KnownKeys | undefined> {
    const known = await kept.find(serverName)
    return known && known.document.validUntilTs > clock.now() ? known : fetch(serverName, known, search)
  }

  function currentKey({ document }: KnownKeys, keyId: string): string | undefined {
    const key = document.keys.get(keyId)
    return key && key.expiredTs === undefined && key.validUntilTs > clock.now() ? key.publicKey : undefined
  }

  /** Asks servers themselves until all is known that there is to know, or the time is up. */
  async function askThemselves(
    needs: ReadonlyMap<string, Need>,
    found: Map<string, KnownKeys>,
    { line, signal }: { readonly line: AtMost; readonly signal: AbortSignal },
  ): Promise<void> {
    const asking = [...needs].map(async ([serverName, need]) => {
      const known = await kept.find(serverName)
      if (known) found.set(serverName, known)
      if (need.isMet(known?.keys)) return
      const fetched = await fetch(serverName, known, { line, signal })
      if (fetched) found.set(serverName, fetched)
    })
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      Promise.all(asking).then(() => resolve(), reject)
    })
  }

  async function satisfy(needs: ReadonlyMap<string, Need>): Promise<Map<string, KnownKeys>> {
    const found = new Map<string, KnownKeys>()
    const timeUp = new AbortController()
    const cancel = clock.after(BATCH_MS, () => timeUp.abort())
    try {
      await askThemselves(needs, found, { line: lineOfEvents, signal: timeUp.signal })
    } finally {
      cancel()
    }
    await askKeyServers(needs, found, { line: lineOfEvents, signal: undefined })
    return found
  }

  return {
    ownDocument() {
      const now = clock.now()
      if (!published || now - published.madeTs > HOUR_MS || now < published.madeTs) {
        published = { document: ownDocument(own, now + OWN_VALIDITY_MS), madeTs: now }
      }
      return published.document
    },

    async requestKey(serverName, keyId) {
      const known = await kept.find(serverName)
      const publicKey = known && currentKey(known, keyId)
      if (publicKey !== undefined) return publicKey
      const fetched = await fetch(serverName, known, forRequests)
      return fetched && currentKey(fetched, keyId)
    },

    async documentOf(serverName, goodUntilTs, mayFetch) {
      const known = await kept.find(serverName)
      const isGood = known !== undefined && known.document.validUntilTs >= goodUntilTs
      const best = isGood || !mayFetch ? known : await fetch(serverName, known, forRequests)
      return best?.document.json
    },

    async keysFor(pdus, rules, vouchers = []) {
      const needs = needsOf(pdus, rules, ownName)
      const found = await satisfy(needs)
      const vouched = new Map<string, ReadonlyMap<string, VerifyKey>>()
      // What a server has said itself, now or before, is all there is to its keys: nobody can add one to them.
      const silent = openOf(needs, found).filter(({ serverName }) => !found.has(serverName))
      for (const notary of vouchers) {
        const open = silent.filter(({ serverName }) => !vouched.has(serverName) && serverName !== notary)
        if (open.length === 0) break
        if (notary === ownName) continue
        for (const { serverName, keys } of await queryNotary(environment, client, { notary, servers: open })) {
          vouched.set(serverName, keys)
        }
      }
      return (serverName, keyId) =>
        serverName === ownName
          ? ownKeys.get(keyId)
          : (vouched.get(serverName) ?? found.get(serverName)?.keys)?.get(keyId)
    },
  }

  function openOf(
    needs: ReadonlyMap<string, Need>,
    found: ReadonlyMap<string, KnownKeys>,
  ): readonly { readonly serverName: string; readonly keyIds: readonly string[] }[] {
    return [...needs]
      .filter(([serverName, need]) => !need.isMet(found.get(serverName)?.keys))
      .map(([serverName, { keyIds }]) => ({ serverName, keyIds: [...keyIds] }))
  }
}

/** By server: which keys the events name, and whether all events can be judged by the keys that there are. */
function needsOf(pdus: readonly Pdu[], rules: RoomVersionRules, ownName: string): ReadonlyMap<string, Need> {
  const wanted = new Map<string, { readonly keyIds: readonly string[]; readonly ts: number }[]>()
  for (const pdu of pdus) {
    for (const { serverName, keyIds } of listRequiredKeys(pdu, rules)) {
      // Without a signature to check, no key helps.
      if (serverName === '' || serverName === ownName || keyIds.length === 0) continue
      const ofServer = wanted.get(serverName)
      const one = { keyIds, ts: Number(pdu.origin_server_ts) }
      if (ofServer) ofServer.push(one)
      else wanted.set(serverName, [one])
    }
  }
  return new Map(
    [...wanted].map(([serverName, events]) => [
      serverName,
      {
        keyIds: new Set(events.flatMap(({ keyIds }) => keyIds)),
        isMet: (keys) =>
          keys !== undefined &&
          events.every(({ keyIds, ts }) =>
            keyIds.some((keyId) => {
              const key = keys.get(keyId)
              return key !== undefined && isKeyValidFor(key, ts, rules)
            }),
          ),
      },
    ]),
  )
}
