/**
 * `/sync`: answers at once where there is something to tell, else waits for it. Spec: client-server-api §Syncing.
 */
import { MatrixError } from '../../shared/matrix/errors.ts'
import type { PresenceState, Serial } from '../ephemeral/index.ts'
import type { Clock } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { type Batch, type BatchDeps, makeBatch } from './batch.ts'
import type { Filters } from './filter-store.ts'
import type { Notifier } from './notifier.ts'
import { clientKey } from './room-parts.ts'
import { parseToken, type SyncToken, writeToken } from './token.ts'
import type { Span, Viewer } from './viewer.ts'

/** The longest that a request may wait, whatever it asks for. Milliseconds. */
export const MAX_TIMEOUT_MS = 120_000

/** A request as the edge has it. */
export interface SyncRequest {
  readonly userId: string
  readonly deviceId: string | null
  /** A filter's ID or JSON. */
  readonly filter?: string | undefined
  readonly since?: string | undefined
  readonly fullState?: boolean | undefined
  readonly setPresence?: PresenceState | undefined
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined
  readonly useStateAfter?: boolean | undefined
  /** Asked for only when it comes to waiting. Aborted when the client goes or the server stops: the answer is then what there is. */
  readonly signal: () => AbortSignal
}

export interface SyncDeps extends BatchDeps {
  readonly clock: Clock
  readonly store: Store
  readonly serial: Serial
  readonly filters: Filters
  readonly notifier: Notifier
  readonly acknowledgements: Acknowledgements
}

export class Syncs {
  readonly #deps: SyncDeps

  constructor(deps: SyncDeps) {
    this.#deps = deps
  }

  /**
   * @returns the answer as JSON text
   * @throws MatrixError 400 M_INVALID_PARAM for a filter or token that is none, M_UNKNOWN_POS for a token that this server has
   *   not given out yet (it was set back to a backup): the client must begin anew
   */
  async answer(request: SyncRequest): Promise<string> {
    const { notifier, filters, push, ephemeral, clock } = this.#deps
    const { userId, deviceId, signal } = request
    const token = request.since === undefined || request.since === '' ? undefined : parseToken(request.since)
    if (token && token.position > this.#deps.store.position) {
      throw new MatrixError('M_UNKNOWN_POS', 400, 'The since token is not known to this server')
    }
    const viewer: Viewer = {
      userId,
      deviceId,
      filter: await filters.resolve(userId, request.filter),
      ignored: await push.ignored.of(userId),
      useStateAfter: request.useStateAfter === true,
      fullState: request.fullState === true,
    }
    const mayWait = token !== undefined && !viewer.fullState
    const timeoutMs = mayWait ? Math.min(Math.max(0, request.timeoutMs ?? 0), MAX_TIMEOUT_MS) : 0
    const deadlineTs = clock.now() + timeoutMs
    if (deviceId !== null) {
      ephemeral.presence.syncing({ userId, deviceId, state: request.setPresence ?? 'online', timeoutMs })
    }
    if (token && deviceId !== null) await this.#deps.acknowledgements.note({ userId, deviceId }, token.toDevice)
    if (!token) this.#deps.lazyMembers.reset(clientKey(viewer))

    using watch = notifier.watch(userId, deviceId ?? '')
    let from = token
    for (;;) {
      watch.reset()
      const { batch, next } = await this.#read({ ...viewer, ignored: await push.ignored.of(userId) }, from)
      const leftMs = deadlineTs - clock.now()
      if (!batch.isEmpty || leftMs <= 0) return finished(batch, next)
      const reason = await watch.wait(leftMs, signal())
      // Whatever ended the waiting, all up to here has been looked at and was nothing.
      if (reason !== 'news') return finished(batch, next)
      from = next
    }
  }

  /** Reads from a token to now. */
  async #read(viewer: Viewer, from: SyncToken | undefined): Promise<{ batch: Batch; next: SyncToken }> {
    const { store, serial } = this.#deps
    // Positions are seen a moment before the slices have told of them: after this turn of the event loop they have.
    await new Promise((resolve) => setImmediate(resolve))
    const upTo = store.position
    const upToSerial = serial.current
    const isSameRun = from?.ephemeral?.run === serial.run
    const span: Span = {
      since: from === undefined ? null : from.position,
      upTo,
      sinceSerial: isSameRun ? (from?.ephemeral?.serial ?? 0) : 0,
      mustClearTyping: !isSameRun && from?.ephemeral?.sawTyping === true,
    }
    const batch = await makeBatch(this.#deps, viewer, { span, toDeviceSince: from?.toDevice ?? 0 })
    const next: SyncToken = {
      position: upTo,
      ephemeral: { serial: upToSerial, run: serial.run, sawTyping: batch.seesTyping },
      toDevice: batch.toDeviceUpTo,
    }
    return { batch, next }
  }
}

function finished(batch: Batch, next: SyncToken): string {
  return `{"next_batch":${JSON.stringify(writeToken(next))}${batch.text}}`
}
