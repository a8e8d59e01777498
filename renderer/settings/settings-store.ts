import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import { findSession, onSession, useMatrix } from '../app/current-session.ts'
import { useSessionStore } from '../app/session-store.ts'
import { type DeviceRow, type FailureKind, failureOf } from '../matrix/index.ts'

/** The person's own name and picture. */
export const useProfileEditStore = defineStore('profileEdit', () => {
  const isBusy = ref(false)
  const isSaved = ref(false)
  const failure = ref<FailureKind | null>(null)

  async function run(work: () => Promise<void>): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    isSaved.value = false
    failure.value = null
    try {
      await work()
      isSaved.value = true
    } catch (error) {
      failure.value = failureOf(error).kind
    } finally {
      isBusy.value = false
    }
  }

  const setName = (name: string) => run(() => useMatrix().account.setName(name))
  const setPicture = (file: File) =>
    run(async () => {
      const { media, account } = useMatrix()
      // everyone may see it, so it is not encrypted
      const { mxc } = await media.upload(file, { encrypt: false, name: file.name })
      await account.setAvatar(mxc)
    })
  const removePicture = () => run(() => useMatrix().account.setAvatar(null))
  onSession(
    () => [],
    () => {
      isSaved.value = false
      failure.value = null
    },
  )

  return { isBusy, isSaved, failure, setName, setPicture, removePicture }
})

/** Everywhere the person is signed in. */
export const useDevicesStore = defineStore('devices', () => {
  const rows = shallowRef<readonly DeviceRow[]>([])
  const state = ref<'loading' | 'ready' | 'failed'>('loading')
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)

  onSession(
    () => [],
    () => {
      rows.value = []
      state.value = 'loading'
    },
  )

  async function load(): Promise<void> {
    if (!findSession()) return
    if (rows.value.length === 0) state.value = 'loading'
    try {
      rows.value = await useMatrix().account.listDevices()
      state.value = 'ready'
    } catch {
      state.value = 'failed'
    }
  }

  async function remove(deviceId: string, password: string, done: () => void): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    failure.value = null
    try {
      await useMatrix().account.removeDevice(deviceId, password)
      await load()
      done()
    } catch (error) {
      failure.value = failureOf(error).kind
    } finally {
      isBusy.value = false
    }
  }

  return { rows, state, isBusy, failure, load, remove }
})

/** Signing out, with a look at what would be lost first. */
export const useSignOutStore = defineStore('signOut', () => {
  const isOpen = ref(false)
  const isBusy = ref(false)
  const failure = ref<FailureKind | null>(null)
  const isSafe = ref<boolean | null>(null)
  const unsent = ref(0)

  async function ask(): Promise<void> {
    isOpen.value = true
    failure.value = null
    isSafe.value = null
    const session = useMatrix()
    unsent.value = session.outbox.items().filter(({ eventId }) => eventId === null).length
    try {
      isSafe.value = await session.keys.isSafeToLeave()
    } catch {
      // what cannot be found out counts as not safe
      isSafe.value = false
    }
  }

  async function signOut(): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    failure.value = null
    try {
      await useSessionStore().signOut()
      isOpen.value = false
    } catch (error) {
      failure.value = failureOf(error).kind
    } finally {
      isBusy.value = false
    }
  }

  return { isOpen, isBusy, failure, isSafe, unsent, ask, signOut }
})
