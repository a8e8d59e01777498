import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { findSession, onSession, useMatrix } from '../app/current-session.ts'
import { useToastsStore } from '../app/toasts-store.ts'
import { i18n } from '../i18n/index.ts'
import { failureOf, type MessageRow } from '../matrix/index.ts'
import { createDrafts, type Drafts } from './drafts.ts'
import { contentOf } from './markdown.ts'
import { useUploadsStore } from './uploads-store.ts'

export interface PickedFile {
  readonly id: number
  readonly file: File
  /** To look at before sending; `null` where it is no picture. */
  readonly previewUrl: string | null
}

/** What is being written, and the files that go with it. */
export const useComposerStore = defineStore('composer', () => {
  const roomId = ref<string | null>(null)
  const text = ref('')
  const picked = shallowRef<readonly PickedFile[]>([])
  let drafts: Drafts | undefined
  let nextId = 1

  onSession(
    (session) => {
      drafts = createDrafts(localStorage, `hearth.drafts.${session.userId}`)
      if (roomId.value) text.value = drafts.read(roomId.value)
      return []
    },
    () => {
      drafts = undefined
      text.value = ''
      dropAll()
    },
  )

  const maySend = computed(() => text.value.trim() !== '' || picked.value.length > 0)

  function dropAll(): void {
    for (const { previewUrl } of picked.value) if (previewUrl) URL.revokeObjectURL(previewUrl)
    picked.value = []
  }

  function open(next: string | null): void {
    if (next === roomId.value) return
    roomId.value = next
    dropAll()
    text.value = next ? (drafts?.read(next) ?? '') : ''
  }

  function setText(next: string): void {
    text.value = next
    if (roomId.value) drafts?.write(roomId.value, next)
  }

  async function pick(files: readonly File[]): Promise<void> {
    const session = findSession()
    if (!session) return
    const limit = await session.media.maxUploadBytes()
    for (const file of files) {
      if (limit !== null && file.size > limit) {
        useToastsStore().show(
          'problem',
          i18n.global.t('composer.tooLarge', { name: file.name, limit: sayLimit(limit) }),
        )
        continue
      }
      const previewUrl = /^image\/(png|jpe?g|gif|webp|avif)$/.test(file.type) ? URL.createObjectURL(file) : null
      picked.value = [...picked.value, { id: nextId++, file, previewUrl }]
    }
  }

  const sayLimit = (bytes: number): string =>
    new Intl.NumberFormat(i18n.global.locale.value, {
      style: 'unit',
      unit: 'megabyte',
      maximumFractionDigits: 0,
    }).format(bytes / 1e6)

  function unpick(id: number): void {
    const gone = picked.value.find((one) => one.id === id)
    if (gone?.previewUrl) URL.revokeObjectURL(gone.previewUrl)
    picked.value = picked.value.filter((one) => one.id !== id)
  }

  /** Hands over what is there: files to the uploads with the text as their caption, else the text to the queue. */
  function send(replyTo: MessageRow | null): boolean {
    const id = roomId.value
    const typed = text.value.trim()
    if (!id || !maySend.value) return false
    const relation = replyTo?.eventId ? { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo.eventId } } } : {}
    try {
      if (picked.value.length > 0) {
        picked.value.forEach(({ file }, at) => {
          // the caption belongs to the first, as the person sees it
          useUploadsStore().add({
            roomId: id,
            file,
            caption: at === 0 ? typed : '',
            relation: at === 0 ? relation : {},
          })
        })
        dropAll()
      } else {
        useMatrix().outbox.add({ roomId: id, type: 'm.room.message', content: { ...contentOf(typed), ...relation } })
      }
    } catch (error) {
      const { kind } = failureOf(error)
      useToastsStore().show('problem', i18n.global.t(kind === 'unknown' ? 'composer.queueFull' : `failure.${kind}`))
      return false
    }
    setText('')
    return true
  }

  return { roomId, text, picked, maySend, open, setText, pick, unpick, send }
})
