import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { useMatrix } from '../app/current-session.ts'
import { saveBlob } from '../app/save-file.ts'
import { useToastsStore } from '../app/toasts-store.ts'
import { i18n } from '../i18n/index.ts'
import { failureOf, type MediaRef } from '../matrix/index.ts'

/** Fetching files in order to save them. */
export const useSavingStore = defineStore('saving', () => {
  const busy = shallowRef<ReadonlyMap<string, AbortController>>(new Map())

  async function save(media: MediaRef, name: string): Promise<void> {
    if (busy.value.has(media.mxc)) return
    const abort = new AbortController()
    busy.value = new Map(busy.value).set(media.mxc, abort)
    try {
      saveBlob(name, await useMatrix().media.download(media, abort.signal))
    } catch (error) {
      const { kind } = failureOf(error)
      if (kind !== 'cancelled') useToastsStore().show('problem', i18n.global.t('room.file.failed'))
    } finally {
      const rest = new Map(busy.value)
      rest.delete(media.mxc)
      busy.value = rest
    }
  }

  const cancel = (media: MediaRef): void => busy.value.get(media.mxc)?.abort()

  return { busy, save, cancel }
})
