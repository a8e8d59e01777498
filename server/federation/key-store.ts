import type { VerifyKey } from '../protocol/event-signing.ts'
import { parseJson } from '../protocol/json.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type KeyDocument, readKeyDocument } from './key-document.ts'
import { type ServerKeysRow, serverKeys } from './store.ts'

/** What is known of a server's keys. */
export interface KnownKeys {
  readonly document: KeyDocument
  /** Those of the document, and those that earlier ones had. */
  readonly keys: ReadonlyMap<string, VerifyKey>
}

/** Servers whose keys are kept; those that were fetched longest ago go first. */
const MAX_SERVERS = 20_000
const MAX_EARLIER_KEYS = 32
/** Servers whose documents are kept parsed. */
const MAX_PARSED = 1_000

/** Key documents of other servers, on the disk. */
export class KeyStore {
  readonly #store: Store
  /** In the order of last use. */
  readonly #parsed = new Map<string, KnownKeys>()

  constructor(store: Store) {
    this.#store = store
  }

  async find(serverName: string): Promise<KnownKeys | undefined> {
    const parsed = this.#parsed.get(serverName)
    if (parsed) {
      this.#remember(serverName, parsed)
      return parsed
    }
    const row = await this.#store.home.get(serverKeys, serverName)
    const known = row && read(row)
    if (known) this.#remember(serverName, known)
    return known
  }

  /** Takes the place of the document that there is, whose keys stay known. */
  async put(document: KeyDocument): Promise<KnownKeys> {
    const { serverName } = document
    return this.#store.exclusive(`server-keys:${serverName}`, async () => {
      const before = await this.find(serverName)
      const earlier = [...(before?.keys ?? [])].filter(([keyId]) => !document.keys.has(keyId)).slice(-MAX_EARLIER_KEYS)
      const row: ServerKeysRow = {
        serverName,
        document: JSON.stringify(document.json),
        fetchedTs: document.fetchedTs,
        earlier: JSON.stringify(earlier),
      }
      const surplus = before ? [] : await this.#surplus()
      await this.#store.commit(() => [put(serverKeys, row), ...surplus.map((name) => remove(serverKeys, name))])
      for (const name of surplus) this.#parsed.delete(name)
      const known = { document, keys: new Map([...earlier, ...document.keys]) }
      this.#remember(serverName, known)
      return known
    })
  }

  async #surplus(): Promise<readonly string[]> {
    const count = (await this.#store.home.count(serverKeys)) + 1 - MAX_SERVERS
    if (count <= 0) return []
    const oldest = await this.#store.home.range(serverKeys, { index: 'fetchedTs', limit: count })
    return oldest.map(({ serverName }) => serverName)
  }

  #remember(serverName: string, known: KnownKeys): void {
    this.#parsed.delete(serverName)
    this.#parsed.set(serverName, known)
    for (const oldest of this.#parsed.keys()) {
      if (this.#parsed.size <= MAX_PARSED) break
      this.#parsed.delete(oldest)
    }
  }
}

/** @returns `undefined` where what was kept is not good by today's rules: it will be fetched anew */
function read({ serverName, document, fetchedTs, earlier }: ServerKeysRow): KnownKeys | undefined {
  const parsed = readKeyDocument(parseJson(document), serverName, fetchedTs)
  if (typeof parsed === 'string') return undefined
  return { document: parsed, keys: new Map([...(JSON.parse(earlier) as [string, VerifyKey][]), ...parsed.keys]) }
}
