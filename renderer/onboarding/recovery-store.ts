import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { findSession, onSession, useMatrix } from '../app/current-session.ts'
import { useSessionStore } from '../app/session-store.ts'
import { type FailureKind, failureOf, type KeyState, type RestoreProgress } from '../matrix/index.ts'
import { groupsOf, pickGroup } from './recovery-key.ts'

/** What the page about the recovery key shows. */
export type RecoveryStep =
  | 'closed'
  | 'why'
  | 'password'
  | 'making'
  | 'show'
  | 'confirm'
  | 'allSet'
  | 'enter'
  | 'unlocking'
  | 'unlocked'
  | 'startAnew'

const keyFor = (what: string, userId: string, deviceId: string): string =>
  `hearth.recovery.${what}.${userId}.${deviceId}`

/** The recovery key: made and explained at the first run, asked for on a second device, offered again while it is missing. */
export const useRecoveryStore = defineStore('recovery', () => {
  const step = ref<RecoveryStep>('closed')
  const keyState = ref<KeyState>('unknown')
  const failure = ref<FailureKind | null>(null)
  const progress = ref<RestoreProgress>({ step: 'checking', done: 0, total: 0 })
  /** The key while it is being shown; gone when the page about it closes. */
  const shownKey = ref('')
  /** The key as it is being entered; a mistake in it is mended, not typed anew. Gone when the page about it closes. */
  const typedKey = ref('')
  /** Which group is asked for, counted from 1. */
  const askedGroup = ref(1)
  const isUnsaved = ref(false)
  const isDismissed = ref(false)
  /** What comes after the password: the first keys, or new ones for old. */
  const isStartingAnew = ref(false)

  const isOpen = computed(() => step.value !== 'closed')
  /** The banner to show, by the end of its text's key; `null` for none. */
  const offer = computed(() => {
    if (isOpen.value || isDismissed.value) return null
    if (keyState.value === 'locked') return 'Locked'
    if (keyState.value === 'none') return 'None'
    return keyState.value === 'ready' && isUnsaved.value ? 'Unsaved' : null
  })

  onSession(
    (session) => {
      const skipKey = keyFor('skipped', session.userId, session.deviceId)
      isUnsaved.value = localStorage.getItem(keyFor('unsaved', session.userId, session.deviceId)) !== null
      isDismissed.value = false
      const follow = (now: KeyState): void => {
        keyState.value = now
        if (step.value !== 'closed' || localStorage.getItem(skipKey) !== null) return
        if (now === 'locked') step.value = 'enter'
        else if (now === 'none' && !useSessionStore().isNewAccount) step.value = 'why'
        // the page was loaded anew before the key was kept: nobody has seen it whole, so another is made
        else if (now === 'ready' && isUnsaved.value) step.value = 'why'
      }
      if (useSessionStore().isNewAccount) step.value = 'why'
      follow(session.keys.state())
      return [session.keys.onChange(follow)]
    },
    () => {
      step.value = 'closed'
      keyState.value = 'unknown'
      shownKey.value = ''
      typedKey.value = ''
    },
  )

  const remember = (what: 'skipped' | 'unsaved', isSo: boolean): void => {
    const session = findSession()
    if (!session) return
    const key = keyFor(what, session.userId, session.deviceId)
    if (isSo) localStorage.setItem(key, '1')
    else localStorage.removeItem(key)
    if (what === 'unsaved') isUnsaved.value = isSo
  }

  /** Makes the keys; asks for the password where the server wants it and we do not hold it any more. */
  async function make(typedPassword?: string): Promise<void> {
    const session = useSessionStore()
    failure.value = null
    step.value = 'making'
    try {
      const { keys } = useMatrix()
      const password = typedPassword ?? session.heldPassword()
      shownKey.value = isStartingAnew.value ? await keys.startAnew(password) : await keys.setUp(password)
      session.forgetPassword()
      session.isNewAccount = false
      isStartingAnew.value = false
      remember('unsaved', true)
      remember('skipped', false)
      step.value = 'show'
    } catch (error) {
      const { kind } = failureOf(error)
      // `closed`: the server asks for a stage that we had no answer to, which is the password
      if (kind === 'closed' || (kind === 'forbidden' && typedPassword === undefined)) {
        step.value = 'password'
        return
      }
      failure.value = kind
      step.value = typedPassword === undefined ? 'why' : 'password'
    }
  }

  function askToConfirm(): void {
    askedGroup.value = pickGroup(groupsOf(shownKey.value).length, Math.random())
    step.value = 'confirm'
  }

  /** Whether the group was the one asked for; then the key is on its own from here on. */
  function confirm(typed: string): boolean {
    if (typed.trim() !== groupsOf(shownKey.value)[askedGroup.value - 1]) return false
    remember('unsaved', false)
    shownKey.value = ''
    step.value = 'allSet'
    return true
  }

  async function unlock(): Promise<void> {
    if (step.value === 'unlocking') return
    failure.value = null
    step.value = 'unlocking'
    try {
      await useMatrix().keys.unlock(typedKey.value, (now) => {
        progress.value = now
      })
      remember('skipped', false)
      typedKey.value = ''
      step.value = 'unlocked'
    } catch (error) {
      failure.value = failureOf(error).kind
      step.value = 'enter'
    }
  }

  function go(next: RecoveryStep): void {
    failure.value = null
    step.value = next
  }

  function beginAnew(): void {
    isStartingAnew.value = true
    go('password')
  }

  function close(): void {
    shownKey.value = ''
    typedKey.value = ''
    isStartingAnew.value = false
    useSessionStore().isNewAccount = false
    useSessionStore().forgetPassword()
    step.value = 'closed'
  }

  /** Goes on without the key, until the banner or the settings bring it up again. */
  function skip(): void {
    remember('skipped', true)
    close()
  }

  function takeOffer(): void {
    go(keyState.value === 'locked' ? 'enter' : 'why')
  }

  function dismissOffer(): void {
    isDismissed.value = true
  }

  return {
    step,
    keyState,
    failure,
    progress,
    shownKey,
    typedKey,
    askedGroup,
    isOpen,
    isUnsaved,
    isStartingAnew,
    offer,
    make,
    askToConfirm,
    confirm,
    unlock,
    go,
    beginAnew,
    close,
    skip,
    takeOffer,
    dismissOffer,
  }
})
