import { defineStore } from 'pinia'
import { ref } from 'vue'
import { findRecoveryKey } from './recovery-key.ts'

const MAX_BYTES = 64 * 1024

/** Reading the recovery key out of the file that it was saved in. */
export const useRecoveryFileStore = defineStore('recoveryFile', () => {
  const hasNone = ref(false)

  async function read(file: File | undefined, found: (key: string) => void): Promise<void> {
    if (!file) return
    const key = findRecoveryKey(await file.slice(0, MAX_BYTES).text())
    hasNone.value = key === undefined
    if (key !== undefined) found(key)
  }

  return { hasNone, read }
})
