import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import {
  type Connection,
  type Credentials,
  Failure,
  type FailureKind,
  failureOf,
  openSession,
  readCredentials,
  removeDatabases,
  removeValues,
  type Session,
  signIn,
  writeCredentials,
} from '../matrix/index.ts'
import { setCurrentSession } from './current-session.ts'
import { deviceName } from './desktop.ts'
import { createTabLock } from './tab-lock.ts'

/**
 * `signedOut`: the welcome page. `opening`: reading what is kept, and connecting. `otherTab`: another tab has it open.
 * `lapsed`: the server wants the password again, and everything kept here stays. `insecure`: the page came over plain
 * HTTP from elsewhere, where browsers switch cryptography off.
 */
export type Phase = 'booting' | 'signedOut' | 'opening' | 'ready' | 'otherTab' | 'lapsed' | 'failed' | 'insecure'

export const useSessionStore = defineStore('session', () => {
  const phase = ref<Phase>('booting')
  const connection = ref<Connection>('starting')
  const failure = ref<FailureKind | null>(null)
  const session = shallowRef<Session>()
  /** The session began by making the account just now, so its recovery key is made next. */
  const isNewAccount = ref(false)
  const credentials = shallowRef<Credentials>()
  const userId = computed(() => credentials.value?.userId ?? '')
  /** Kept in memory only, from signing in until the keys are set up: the server may ask for it again. */
  let password: string | undefined
  const lock = createTabLock()

  const store = (next: Credentials): void => {
    credentials.value = next
    writeCredentials(localStorage, next)
  }

  async function boot(): Promise<void> {
    if (!globalThis.isSecureContext || !navigator.locks) {
      phase.value = 'insecure'
      return
    }
    const kept = readCredentials(localStorage)
    if (!kept) {
      phase.value = 'signedOut'
      return
    }
    credentials.value = kept
    if (await lock.claim()) await open(kept)
    else phase.value = 'otherTab'
  }

  async function open(kept: Credentials): Promise<void> {
    phase.value = 'opening'
    failure.value = null
    try {
      const opened = await openSession({
        credentials: kept,
        storage: localStorage,
        indexedDB: globalThis.indexedDB,
        onCredentials: store,
        onSignedOut: (how) => void ended(how),
      })
      // the server may have ended it while it was being opened
      if (phase.value !== 'opening') {
        await opened.stop()
        return
      }
      session.value = opened
      connection.value = opened.connection()
      opened.onConnection((now) => {
        connection.value = now
      })
      setCurrentSession(opened)
      phase.value = 'ready'
    } catch (error) {
      if (phase.value !== 'opening') return
      failure.value = failureOf(error).kind
      phase.value = 'failed'
    }
  }

  /** Keeps a session that was just made by signing in or registering, and opens it. */
  async function begin(made: Credentials, options: { isNewAccount: boolean; password: string }): Promise<void> {
    // another tab may have signed in meanwhile; ours is newer
    if (!(await lock.claim())) await lock.takeOver()
    store(made)
    isNewAccount.value = options.isNewAccount
    password = options.password
    await open(made)
  }

  async function close(): Promise<void> {
    const open = session.value
    session.value = undefined
    setCurrentSession(undefined)
    await open?.stop()
  }

  async function ended(how: 'soft' | 'hard'): Promise<void> {
    if (how === 'soft') {
      phase.value = 'lapsed'
      await close()
      return
    }
    phase.value = 'signedOut'
    failure.value = 'signedOut'
    const gone = credentials.value
    await close()
    wipe(gone)
  }

  /** Nothing of a session that has ended stays on the device. */
  function wipe(gone: Credentials | undefined): void {
    if (gone) removeDatabases(gone, globalThis.indexedDB)
    removeValues(localStorage)
    // what is kept for this tab only: the claim of a new home, and where the router was
    sessionStorage.clear()
    credentials.value = undefined
    password = undefined
    isNewAccount.value = false
    lock.release()
  }

  /** Signs in again as the same person on the same device, after the server let the session lapse. */
  async function resume(typed: string): Promise<void> {
    const kept = credentials.value
    if (!kept) throw new Failure('signedOut')
    const made = await signIn({
      baseUrl: kept.baseUrl,
      user: kept.userId,
      password: typed,
      deviceId: kept.deviceId,
      deviceName: deviceName(),
    })
    store(made)
    await open(made)
  }

  async function takeOver(): Promise<void> {
    phase.value = 'opening'
    await lock.takeOver()
    const kept = readCredentials(localStorage)
    if (!kept) {
      lock.release()
      phase.value = 'signedOut'
      return
    }
    credentials.value = kept
    await open(kept)
  }

  async function retry(): Promise<void> {
    if (credentials.value) await open(credentials.value)
  }

  /** Ends the session here and at the server. Throws a `Failure` and changes nothing where the server cannot be told. */
  async function signOut(): Promise<void> {
    const open = session.value
    if (open) {
      await open.signOut()
      session.value = undefined
      setCurrentSession(undefined)
    }
    forget()
  }

  /** Leaves without telling the server: for a session that can no longer be opened. */
  function forget(): void {
    const gone = credentials.value
    failure.value = null
    phase.value = 'signedOut'
    void close().finally(() => wipe(gone))
  }

  const heldPassword = (): string | undefined => password
  const forgetPassword = (): void => {
    password = undefined
  }

  lock.onWanted(() => {
    if (phase.value !== 'ready' && phase.value !== 'opening' && phase.value !== 'failed') return
    phase.value = 'otherTab'
    void close().finally(() => lock.release())
  })

  return {
    phase,
    connection,
    failure,
    isNewAccount,
    credentials,
    userId,
    boot,
    begin,
    resume,
    takeOver,
    retry,
    signOut,
    forget,
    heldPassword,
    forgetPassword,
  }
})
