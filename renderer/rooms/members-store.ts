import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { findSession, onSession, useMatrix } from '../app/current-session.ts'
import { type FailureKind, failureOf, type MemberRow } from '../matrix/index.ts'

/** The people in the room whose details are open. */
export const useMembersStore = defineStore('members', () => {
  const roomId = ref<string | null>(null)
  const rows = shallowRef<readonly MemberRow[]>([])
  const state = ref<'loading' | 'ready' | 'failed'>('loading')

  async function load(): Promise<void> {
    const id = roomId.value
    if (!id || !findSession()) return
    try {
      const found = await useMatrix().actions.listMembers(id)
      if (id !== roomId.value) return
      rows.value = found
      state.value = 'ready'
    } catch {
      if (id === roomId.value) state.value = 'failed'
    }
  }

  onSession(
    (session) => [
      session.onMembers((changed) => {
        if (changed === roomId.value) void load()
      }),
    ],
    () => {
      rows.value = []
      roomId.value = null
    },
  )

  async function open(next: string): Promise<void> {
    if (next !== roomId.value) {
      rows.value = []
      state.value = 'loading'
    }
    roomId.value = next
    await load()
  }

  return { roomId, rows, state, open, load }
})

/** Making rooms, inviting, leaving: one thing at a time, with what went wrong. `done` runs after it worked. */
export const useRoomActionsStore = defineStore('roomActions', () => {
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)

  async function run<T>(work: () => Promise<T>, done: (result: T) => unknown): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    failure.value = null
    let result: T
    try {
      result = await work()
    } catch (error) {
      failure.value = failureOf(error).kind
      return
    } finally {
      isBusy.value = false
    }
    done(result)
  }

  const reset = (): void => {
    failure.value = null
  }
  const create = (
    room: { name: string; topic: string; isPublic: boolean; invite: readonly string[] },
    done: (roomId: string) => unknown,
  ) => run(() => useMatrix().actions.create(room), done)
  const openDirect = (userId: string, done: (roomId: string) => unknown) =>
    run(() => useMatrix().actions.openDirect(userId), done)
  const invite = (roomId: string, userIds: readonly string[], done: () => unknown) =>
    run(async () => {
      for (const userId of userIds) await useMatrix().actions.invite(roomId, userId)
    }, done)
  const leave = (roomId: string, done: () => unknown) => run(() => useMatrix().actions.leave(roomId), done)

  return { isBusy, failure, reset, create, openDirect, invite, leave }
})
