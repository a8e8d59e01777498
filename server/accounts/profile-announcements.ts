import type { Environment } from '../observe/environment.ts'
import { type Op, put, remove, type Store } from '../store/index.ts'
import type { Profile } from './contract.ts'
import { untoldProfileRows } from './store.ts'

export interface ProfileChange {
  readonly userId: string
  readonly profile: Profile
}
type Listener = (change: ProfileChange) => void | Promise<void>

/** Tells of changed profiles, again after a stop that came before everybody had heard. */
export interface ProfileAnnouncements {
  /** To be committed with the change itself. @param position of that commit */
  noteOp(userId: string, position: number): Op
  /** After the commit. Goes on in the background; never throws. */
  announce(change: ProfileChange, position: number): void
  subscribe(listener: Listener): () => void
  /** Announces what a stop has cut short. To be called once everybody has subscribed. */
  resume(profileOf: (userId: string) => Promise<Profile>): Promise<void>
}

export function createProfileAnnouncements(environment: Environment, store: Store): ProfileAnnouncements {
  const listeners = new Set<Listener>()

  async function tell(change: ProfileChange, notes: readonly number[]): Promise<void> {
    try {
      await Promise.all([...listeners].map(async (listener) => listener(change)))
      await store.commit(() => notes.map((position) => remove(untoldProfileRows, position)))
    } catch (error) {
      // The notes stay, and it is told again at the next start.
      environment.logger.warn({ event: 'accounts.profile-untold', userId: change.userId, error })
    }
  }

  return {
    noteOp: (userId, position) => put(untoldProfileRows, { position, userId }),
    announce: (change, position) => void tell(change, [position]),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async resume(profileOf) {
      const notes = new Map<string, number[]>()
      for (const { userId, position } of await store.home.range(untoldProfileRows, { index: 'position' })) {
        notes.set(userId, [...(notes.get(userId) ?? []), position])
      }
      for (const [userId, positions] of notes) void tell({ userId, profile: await profileOf(userId) }, positions)
    },
  }
}
