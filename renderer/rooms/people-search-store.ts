import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { findSession, onSession } from '../app/current-session.ts'
import type { Person } from '../matrix/index.ts'

/** Finding people by name while it is being typed; only the last answer counts. */
export const usePeopleSearchStore = defineStore('peopleSearch', () => {
  const results = shallowRef<readonly Person[]>([])
  const isLooking = ref(false)
  let round = 0

  const clear = (): void => {
    round++
    results.value = []
    isLooking.value = false
  }
  onSession(() => [], clear)

  async function look(typed: string): Promise<void> {
    const mine = ++round
    const session = findSession()
    if (typed.trim().length < 2 || !session) {
      clear()
      return
    }
    isLooking.value = true
    try {
      const found = await session.actions.findPeople(typed.trim())
      if (mine === round) results.value = found.filter(({ userId }) => userId !== session.userId)
    } catch {
      // the directory is a help; the whole address works without it
      if (mine === round) results.value = []
    } finally {
      if (mine === round) isLooking.value = false
    }
  }

  return { results, isLooking, look, clear }
})
