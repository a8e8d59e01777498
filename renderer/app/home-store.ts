import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { type FailureKind, failureOf, findHome } from '../matrix/index.ts'
import { findSession, onSession, useMatrix } from './current-session.ts'

/** The home that the person's account lives in. */
export const useHomeStore = defineStore('home', () => {
  const name = ref<string | null>(null)
  const serverName = ref('')
  /** Whether the server is a Hearth, which has a name that can be changed. */
  const isHearth = ref(false)
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)

  const label = computed(() => name.value ?? serverName.value)

  onSession(
    (session) => {
      serverName.value = session.userId.slice(session.userId.indexOf(':') + 1)
      void load()
      return []
    },
    () => {
      name.value = null
      isHearth.value = false
      failure.value = null
    },
  )

  async function load(): Promise<void> {
    const session = findSession()
    if (!session) return
    try {
      const home = await findHome(session.baseUrl)
      if (findSession() !== session) return
      isHearth.value = home !== null
      name.value = home?.name ?? null
    } catch {
      // the server's own name stands in until the next start
    }
  }

  async function rename(next: string): Promise<boolean> {
    if (isBusy.value || next.trim() === '') return false
    isBusy.value = true
    failure.value = null
    try {
      await useMatrix().account.renameHome(next)
      name.value = next.trim()
      return true
    } catch (error) {
      failure.value = failureOf(error).kind
      return false
    } finally {
      isBusy.value = false
    }
  }

  return { name, serverName, label, isHearth, isBusy, failure, rename }
})
