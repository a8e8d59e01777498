import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { deviceName, ownServerAddress } from '../app/desktop.ts'
import { useSessionStore } from '../app/session-store.ts'
import {
  type Credentials,
  claimHome,
  createAccount,
  Failure,
  type FailureKind,
  type FoundServer,
  failureOf,
  findServer,
  isNameFree,
  localNameOf,
  signIn,
} from '../matrix/index.ts'
import { claimCode, forgetClaim, keepHomeName, keptHomeName, lookForClaimCode } from './claim-code.ts'

/** `claim` is the first run of a new home. */
export type WelcomeStep = 'looking' | 'notFound' | 'signIn' | 'create' | 'claimName' | 'claimAccount' | 'address'

/** The page before anyone has signed in: which home, and who. */
export const useWelcomeStore = defineStore('welcome', () => {
  const step = ref<WelcomeStep>('looking')
  const server = shallowRef<FoundServer>()
  const isElsewhere = ref(false)
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)
  const homeName = ref(keptHomeName())
  /** The code that claims a new home was not known, or was wrong. */
  const asksForCode = ref(false)
  const nameState = ref<'unknown' | 'checking' | 'free' | 'taken'>('unknown')
  let looking = new AbortController()
  let checking = new AbortController()

  const serverName = computed(() => {
    const found = server.value
    if (!found) return ''
    if (found.home?.serverName) return found.home.serverName
    return new URL(found.baseUrl).host
  })
  const takesPasswords = computed(() => server.value?.loginTypes.includes('m.login.password') ?? true)

  function firstStep(found: FoundServer): WelcomeStep {
    return found.home && !found.home.isClaimed ? 'claimName' : 'signIn'
  }

  async function look(typed?: string): Promise<void> {
    looking.abort()
    looking = new AbortController()
    const { signal } = looking
    failure.value = null
    isBusy.value = true
    if (typed === undefined) step.value = 'looking'
    try {
      const found = await findServer(typed ?? (await ownServerAddress()), { signal })
      if (signal.aborted) return
      server.value = found
      isElsewhere.value = typed !== undefined
      if (firstStep(found) === 'claimName') {
        await lookForClaimCode()
        asksForCode.value = claimCode.value === ''
      }
      step.value = firstStep(found)
    } catch (error) {
      const { kind } = failureOf(error)
      if (kind === 'cancelled') return
      failure.value = kind === 'notFound' || kind === 'unknown' ? 'notHearth' : kind
      if (typed === undefined) step.value = 'notFound'
    } finally {
      if (!signal.aborted) isBusy.value = false
    }
  }

  function go(next: WelcomeStep): void {
    failure.value = null
    nameState.value = 'unknown'
    step.value = next
  }

  /** The first step of the first run. */
  function nameHome(name: string): void {
    homeName.value = name.trim()
    keepHomeName(homeName.value)
    go('claimAccount')
  }

  /** Sees whether a name is free while it is being typed; only the last answer counts. */
  async function checkName(username: string): Promise<void> {
    checking.abort()
    checking = new AbortController()
    const { signal } = checking
    if (!server.value || localNameOf(username) === '') {
      nameState.value = 'unknown'
      return
    }
    nameState.value = 'checking'
    try {
      const isFree = await isNameFree({ baseUrl: server.value.baseUrl, username, signal })
      if (signal.aborted) return
      nameState.value = isFree === undefined ? 'unknown' : isFree ? 'free' : 'taken'
    } catch {
      // only a hint: the registration itself tells the truth
      if (!signal.aborted) nameState.value = 'unknown'
    }
  }

  async function enter(
    make: (found: FoundServer) => Promise<Credentials>,
    options: { isNewAccount: boolean; password: string },
  ): Promise<void> {
    const found = server.value
    if (isBusy.value || !found) return
    isBusy.value = true
    failure.value = null
    try {
      await useSessionStore().begin(await make(found), options)
    } catch (error) {
      failure.value = failureOf(error).kind
    } finally {
      isBusy.value = false
    }
  }

  async function submitSignIn(user: string, password: string): Promise<void> {
    await enter(
      async (found) => {
        const elsewhere = await serverOf(user, found)
        return signIn({ baseUrl: elsewhere, user, password, deviceName: deviceName() })
      },
      { isNewAccount: false, password },
    )
  }

  /** A whole address names its own home: `@anna:example.org` signs in there, whichever home this page came from. */
  async function serverOf(user: string, found: FoundServer): Promise<string> {
    const named = /^@[^:]+:(.+)$/.exec(user.trim())?.[1]
    if (!named || named === found.home?.serverName || named === new URL(found.baseUrl).host) return found.baseUrl
    // a server of another kind does not tell its name, so it may well be the one of the address
    if (!found.home && !isElsewhere.value) return found.baseUrl
    try {
      return (await findServer(named)).baseUrl
    } catch (error) {
      throw new Failure('notHearth', { cause: error })
    }
  }

  async function submitCreate(username: string, password: string, token: string): Promise<void> {
    await enter(
      ({ baseUrl }) =>
        createAccount({
          baseUrl,
          username,
          password,
          deviceName: deviceName(),
          ...(token.trim() ? { token: token.trim() } : {}),
        }),
      { isNewAccount: true, password },
    )
  }

  async function submitClaim(username: string, password: string): Promise<void> {
    await enter(
      ({ baseUrl }) =>
        claimHome({
          baseUrl,
          homeName: homeName.value,
          username,
          password,
          claimCode: claimCode.value,
          deviceName: deviceName(),
        }),
      { isNewAccount: true, password },
    )
    if (failure.value === null) forgetClaim()
    if (failure.value === 'wrongCode') asksForCode.value = true
    // somebody was quicker: the page goes on to what can be done now
    if (failure.value === 'alreadyClaimed') {
      await look()
      failure.value = 'alreadyClaimed'
    }
  }

  return {
    step,
    server,
    serverName,
    isElsewhere,
    isBusy,
    failure,
    homeName,
    claimCode,
    asksForCode,
    nameState,
    takesPasswords,
    look,
    go,
    nameHome,
    checkName,
    submitSignIn,
    submitCreate,
    submitClaim,
  }
})
