import { createSignal, type Unsubscribe } from '../matrix/signal.ts'

const LOCK = 'hearth.session'
const CHANNEL = 'hearth.tabs'

export interface TabLock {
  /** Takes the lock if no other tab has it. */
  readonly claim: () => Promise<boolean>
  /** Asks the tab that has it to let go, and waits; takes it by force after some seconds. */
  readonly takeOver: () => Promise<void>
  readonly release: () => void
  /** Another tab wants it: close the session, then `release`. */
  readonly onWanted: (listener: () => void) => Unsubscribe
}

/**
 * Only one tab may have the session's storage open: two would spoil each other's keys.
 * @param scope what the lock belongs to; tests give their own
 */
export function createTabLock(scope = LOCK, patienceMs = 6_000): TabLock {
  const wanted = createSignal<void>()
  const channel = new BroadcastChannel(`${CHANNEL}.${scope}`)
  let letGo: (() => void) | undefined
  channel.onmessage = ({ data }) => {
    if (data === 'wanted' && letGo) wanted.emit()
  }

  /** Resolves once the lock is ours or it is clear that it is not; the lock stays until `letGo`. */
  const request = (options: LockOptions): Promise<boolean> =>
    new Promise((resolve, reject) => {
      navigator.locks
        .request(scope, options, (lock) => {
          if (!lock) {
            resolve(false)
            return
          }
          return new Promise<void>((release) => {
            letGo = () => {
              letGo = undefined
              release()
            }
            resolve(true)
          })
        })
        .catch((error: unknown) => {
          // taken from us by force: behave as if we had been asked
          if (letGo) {
            letGo = undefined
            wanted.emit()
          }
          reject(error instanceof Error ? error : new Error(String(error)))
        })
    })

  return {
    claim: () => request({ ifAvailable: true }),
    takeOver: async () => {
      channel.postMessage('wanted')
      try {
        await request({ signal: AbortSignal.timeout(patienceMs) })
      } catch {
        // the other tab does not answer (asleep or hung): it has lost its right
        await request({ steal: true })
      }
    },
    release: () => letGo?.(),
    onWanted: wanted.on,
  }
}
