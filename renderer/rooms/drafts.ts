import type { KeyValueStore } from '../matrix/index.ts'

/** What was written and not sent, a text for each room, kept on the device. */
export interface Drafts {
  readonly read: (roomId: string) => string
  readonly write: (roomId: string, text: string) => void
}

const MAX_DRAFTS = 100

/**
 * @param key where in the store; one for each account, so that nobody sees the drafts of another
 */
export function createDrafts(store: KeyValueStore, key: string): Drafts {
  const all = (): Record<string, string> => {
    try {
      const json: unknown = JSON.parse(store.getItem(key) ?? '{}')
      if (typeof json !== 'object' || json === null) return {}
      return Object.fromEntries(Object.entries(json).filter(([, text]) => typeof text === 'string'))
    } catch {
      // damaged: drafts are lost, nothing else is
      return {}
    }
  }
  return {
    read: (roomId) => all()[roomId] ?? '',
    write: (roomId, text) => {
      const { [roomId]: _old, ...others } = all()
      // the newest last, so that the oldest go first when there are too many
      const entries = Object.entries(text.trim() === '' ? others : { ...others, [roomId]: text }).slice(-MAX_DRAFTS)
      if (entries.length === 0) store.removeItem(key)
      else store.setItem(key, JSON.stringify(Object.fromEntries(entries)))
    },
  }
}
