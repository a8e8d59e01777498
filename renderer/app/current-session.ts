import { type ShallowRef, shallowRef, watch } from 'vue'
import type { Session } from '../matrix/index.ts'

/** The session that stores look at; `undefined` while nobody is signed in. Never made reactive inside: see the stack notes. */
const current: ShallowRef<Session | undefined> = shallowRef()

export function setCurrentSession(session: Session | undefined): void {
  current.value = session
}

/** The session; throws where a store acts without one, which is a mistake of ours. */
export function useMatrix(): Session {
  if (!current.value) throw new Error('nobody is signed in')
  return current.value
}

export function findSession(): Session | undefined {
  return current.value
}

/**
 * Runs `begin` for the session there is and for each later one. What it returns is called when that session ends.
 */
export function onSession(begin: (session: Session) => readonly (() => void)[], end?: () => void): void {
  watch(
    current,
    (session, _before, onCleanup) => {
      if (!session) {
        end?.()
        return
      }
      const undo = begin(session)
      onCleanup(() => {
        for (const one of undo) one()
        end?.()
      })
    },
    { immediate: true, flush: 'sync' },
  )
}
