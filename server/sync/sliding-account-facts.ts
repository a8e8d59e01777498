/**
 * What lists of sliding sync need of a user's account data: direct chats and tags. Spec: client-server-api §Direct Messaging,
 * §Room Tagging.
 */
import type { AccountDataEntry, AccountsForReaders } from '../accounts/index.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { ChangeMarks } from './change-marks.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

const MAX_USERS = 500

export interface AccountFacts {
  /** Room IDs. */
  readonly directs: ReadonlySet<string>
  /** By room. */
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>
  /** Another one whenever directs or tags changed. */
  readonly version: number
}

interface Remembered extends AccountFacts {
  readonly upTo: number
}

export class AccountFactsOfUsers {
  readonly #accounts: AccountsForReaders
  readonly #marks: ChangeMarks
  readonly #byUser = new LeastRecentlyUsed<string, Remembered>(MAX_USERS)
  #versions = 0

  /** @param marks by user: their account data */
  constructor(accounts: AccountsForReaders, marks: ChangeMarks) {
    this.#accounts = accounts
    this.#marks = marks
  }

  /** @param upTo the stream position now */
  async of(userId: string, upTo: number): Promise<AccountFacts> {
    const before = this.#byUser.get(userId)
    if (before && (before.upTo >= upTo || !this.#marks.mayHaveChanged(userId, before.upTo))) return before
    const entries = await this.#accounts.accountDataSince(userId, before?.upTo ?? 0, upTo)
    const concerned = entries.filter(({ roomId, type }) => type === (roomId === null ? 'm.direct' : 'm.tag'))
    let { directs, tags, version } = before ?? { directs: new Set<string>(), tags: new Map(), version: 0 }
    if (concerned.length > 0) {
      this.#versions += 1
      version = this.#versions
      tags = new Map(tags)
      for (const entry of concerned) {
        if (entry.roomId === null) directs = directsIn(entry)
        else (tags as Map<string, ReadonlySet<string>>).set(entry.roomId, tagsIn(entry))
      }
    }
    const facts = { directs, tags, version, upTo }
    this.#byUser.set(userId, facts)
    return facts
  }
}

function directsIn({ content }: AccountDataEntry): ReadonlySet<string> {
  const directs = new Set<string>()
  for (const roomIds of Object.values(content)) {
    if (!Array.isArray(roomIds)) continue
    for (const roomId of roomIds) if (typeof roomId === 'string') directs.add(roomId)
  }
  return directs
}

function tagsIn({ content }: AccountDataEntry): ReadonlySet<string> {
  return new Set(isJsonObject(content.tags) ? Object.keys(content.tags) : [])
}
