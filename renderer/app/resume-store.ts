import { defineStore } from 'pinia'
import { ref } from 'vue'
import { type FailureKind, failureOf } from '../matrix/index.ts'
import { useSessionStore } from './session-store.ts'

/** Signing in again after the session lapsed. */
export const useResumeStore = defineStore('resume', () => {
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)

  async function submit(password: string): Promise<void> {
    if (isBusy.value || password === '') return
    isBusy.value = true
    failure.value = null
    try {
      await useSessionStore().resume(password)
    } catch (error) {
      failure.value = failureOf(error).kind
    } finally {
      isBusy.value = false
    }
  }

  return { isBusy, failure, submit }
})
