import { MatrixError } from '../../shared/matrix/errors.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import { mediaRows, quotaRows, type UsageRow, usageRows } from './store.ts'

export interface Usage {
  readonly files: number
  readonly bytes: number
  /** `null`: no limit. */
  readonly maxBytes: number | null
}

/**
 * What users have uploaded, and how much they may. The count is written in the commit that changes what is counted, so a
 * crash leaves it right.
 */
export class UsageCounts {
  readonly #store: Store
  readonly #infoUrl: () => string

  /** @param infoUrl where a person who is told of the quota finds more; the specification asks for it */
  constructor(store: Store, infoUrl: () => string) {
    this.#store = store
    this.#infoUrl = infoUrl
  }

  async of(userId: string): Promise<Usage> {
    const { files, bytes } = await this.#row(userId)
    const quota = await this.#store.home.get(quotaRows, userId)
    return { files, bytes, maxBytes: quota?.maxBytes ?? null }
  }

  /** How many bytes they may upload now; `Infinity` without a quota. */
  async left(userId: string): Promise<number> {
    const { bytes, maxBytes } = await this.of(userId)
    return maxBytes === null ? Number.POSITIVE_INFINITY : Math.max(0, maxBytes - bytes)
  }

  /** @param maxBytes `null`: no limit */
  async setQuota(userId: string, maxBytes: number | null): Promise<void> {
    await this.#store.commit(() => [
      maxBytes === null ? remove(quotaRows, userId) : put(quotaRows, { userId, maxBytes }),
    ])
  }

  /**
   * Commits uploads of a user, or their end, together with the count.
   * @param change reads what it needs; no other change to this user's uploads happens meanwhile
   * @throws MatrixError 403 M_USER_LIMIT_EXCEEDED where it would be more than the quota
   */
  async change(
    userId: string,
    change: () => Promise<{
      readonly files: number
      readonly bytes: number
      readonly ops: (position: number) => readonly Op[]
    }>,
  ): Promise<void> {
    await this.#store.exclusive(`media-usage ${userId}`, async () => {
      const before = await this.#row(userId)
      const { files, bytes, ops } = await change()
      if (bytes > 0 && bytes > (await this.left(userId))) throw this.refusal()
      const row = { userId, files: before.files + files, bytes: before.bytes + bytes }
      await this.#store.commit((position) => [...ops(position), put(usageRows, row)])
    })
  }

  /** Spec: client-server-api §Common error codes; the status is the one that uploads have for a quota. */
  refusal(): MatrixError {
    return new MatrixError('M_USER_LIMIT_EXCEEDED', 403, 'You have used up the space that you have for uploads', {
      info_uri: this.#infoUrl(),
    })
  }

  async #row(userId: string): Promise<UsageRow> {
    const row = await this.#store.home.get(usageRows, userId)
    if (row) return row
    let files = 0
    let bytes = 0
    for (const { sizeBytes } of await this.#store.home.range(mediaRows, {
      index: 'owner',
      from: userId,
      to: `${userId}\u0000`,
    })) {
      if (sizeBytes === null) continue
      files += 1
      bytes += sizeBytes
    }
    return { userId, files, bytes }
  }
}
