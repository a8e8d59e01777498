import { type Op, orderKey, put, type Store } from '../store/index.ts'
import { deviceListChangeRows, rowKey, signedUserRows, untoldChangeRows } from './store.ts'

/** What of a user's changed: a device, by its ID, or the cross-signing keys (`null`). */
export type ChangedPart = string | null

type Listener = (change: { readonly userId: string; readonly position: number }) => void

/** Who changed their devices or keys, and when: what clients need to keep device lists up to date. */
export class DeviceLists {
  readonly #store: Store
  readonly #listeners = new Set<Listener>()

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * The rows that go into the same commit as the change itself.
   * @param parts what other servers are to be told
   */
  changed(userId: string, position: number, parts: readonly ChangedPart[]): readonly Op[] {
    return [
      this.changedElsewhere(userId, position),
      ...parts.map((deviceId, i) =>
        put(untoldChangeRows, { order: orderKey(String(position).padStart(16, '0'), i), userId, deviceId }),
      ),
    ]
  }

  /** The same for a user of another server, which tells the others itself. */
  changedElsewhere(userId: string, position: number): Op {
    return put(deviceListChangeRows, { userId, position })
  }

  /** The row that tells the signer's own devices that keys of `owner` have a new signature. */
  signed(signer: string, owner: string, position: number): Op {
    return put(signedUserRows, { id: rowKey(signer, owner), owner, bySigner: orderKey(signer, position) })
  }

  /** Call after the commit is durable. */
  announce(userId: string, position: number): void {
    for (const listener of this.#listeners) listener({ userId, position })
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Users with a change after `since`. One that changed again after `upTo` is told now and once more with its later change:
   * asking for a device list twice is harmless, missing one is not.
   */
  async changedSince(since: number, upTo: number): Promise<ReadonlySet<string>> {
    if (upTo <= since) return new Set()
    const rows = await this.#store.home.range(deviceListChangeRows, { index: 'position', from: since + 1 })
    return new Set(rows.map((row) => row.userId))
  }

  /** Users whose keys `signer` signed after `since`. */
  async signedSince(signer: string, since: number, upTo: number): Promise<ReadonlySet<string>> {
    if (upTo <= since) return new Set()
    const rows = await this.#store.home.range(signedUserRows, {
      index: 'bySigner',
      from: orderKey(signer, since + 1),
      to: orderKey(signer, upTo + 1),
    })
    return new Set(rows.map((row) => row.owner))
  }
}
