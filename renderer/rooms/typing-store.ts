import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { findSession, onSession } from '../app/current-session.ts'

/** Say it again while the person goes on writing, well before the 20 s that one saying lasts are over. */
const AGAIN_MS = 10_000
/** Nothing typed for so long: no longer writing. */
const QUIET_MS = 6_000

/** Who is writing, and telling others that we are. */
export const useTypingStore = defineStore('typing', () => {
  const byRoom = shallowRef<ReadonlyMap<string, readonly string[]>>(new Map())
  let said: { roomId: string; at: number } | undefined
  let quiet: ReturnType<typeof setTimeout> | undefined

  onSession(
    (session) => [
      session.onTyping(({ roomId, names }) => {
        byRoom.value = new Map(byRoom.value).set(roomId, names)
      }),
      session.onConnection((connection) => {
        // without a connection nobody says when they stop
        if (connection === 'offline') byRoom.value = new Map()
      }),
    ],
    () => {
      byRoom.value = new Map()
      said = undefined
      clearTimeout(quiet)
    },
  )

  const namesIn = (roomId: string): readonly string[] => byRoom.value.get(roomId) ?? []

  const tell = (roomId: string, isTyping: boolean): void => {
    // a nicety for the others; if it does not arrive, nobody misses anything
    findSession()
      ?.actions.setTyping(roomId, isTyping)
      .catch(() => undefined)
  }

  /** The person changed what they write. */
  function typed(roomId: string, text: string): void {
    clearTimeout(quiet)
    if (text.trim() === '') {
      stop()
      return
    }
    const now = Date.now()
    if (said?.roomId !== roomId) stop()
    if (!said || now - said.at > AGAIN_MS) {
      said = { roomId, at: now }
      tell(roomId, true)
    }
    quiet = setTimeout(stop, QUIET_MS)
  }

  function stop(): void {
    clearTimeout(quiet)
    if (!said) return
    tell(said.roomId, false)
    said = undefined
  }

  return { byRoom, namesIn, typed, stop }
})
