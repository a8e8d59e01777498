import { useEventListener } from '@vueuse/core'
import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import { onSession, useMatrix } from '../app/current-session.ts'
import { useToastsStore } from '../app/toasts-store.ts'
import { i18n } from '../i18n/index.ts'
import { failureOf, type Session } from '../matrix/index.ts'
import { factsOfPicture } from './picture-facts.ts'

export interface Upload {
  readonly id: number
  readonly roomId: string
  readonly name: string
  /** From 0 to 1. */
  readonly fraction: number
  readonly isWaiting: boolean
}

interface Job {
  readonly roomId: string
  readonly file: File
  readonly caption: string
  readonly relation: Readonly<Record<string, unknown>>
}

const RETRY_MS = 4_000

/** Files on their way: one at a time, with progress, to be stopped at any moment, and tried again when the connection was lost. */
export const useUploadsStore = defineStore('uploads', () => {
  const uploads = shallowRef<readonly Upload[]>([])
  const jobs = new Map<number, { job: Job; abort: AbortController }>()
  let nextId = 1
  let isRunning = false
  let wake: (() => void) | undefined

  const isBusy = computed(() => uploads.value.length > 0)

  onSession(
    (session) => [
      session.onConnection((connection) => {
        if (connection === 'online') wake?.()
      }),
    ],
    () => {
      for (const { abort } of jobs.values()) abort.abort()
    },
  )

  // files are not kept on disk as messages are: leaving now would lose them, so the browser asks
  useEventListener(globalThis.window, 'beforeunload', (event) => {
    if (isBusy.value) event.preventDefault()
  })

  const change = (id: number, part: Partial<Upload>): void => {
    uploads.value = uploads.value.map((upload) => (upload.id === id ? { ...upload, ...part } : upload))
  }

  function add(job: Job): void {
    const id = nextId++
    jobs.set(id, { job, abort: new AbortController() })
    uploads.value = [...uploads.value, { id, roomId: job.roomId, name: job.file.name, fraction: 0, isWaiting: false }]
    void run()
  }

  function cancel(id: number): void {
    jobs.get(id)?.abort.abort()
    wake?.()
  }

  async function run(): Promise<void> {
    if (isRunning) return
    isRunning = true
    try {
      for (let next = uploads.value[0]; next; next = uploads.value[0]) await finish(next.id)
    } finally {
      isRunning = false
    }
  }

  async function finish(id: number): Promise<void> {
    const entry = jobs.get(id)
    if (entry) {
      try {
        await sendUntilDone(id, entry.job, entry.abort.signal)
      } catch (error) {
        const { kind } = failureOf(error)
        if (kind !== 'cancelled') {
          const why = i18n.global.t(`failure.${kind}`)
          useToastsStore().show('problem', i18n.global.t('composer.uploadFailed', { name: entry.job.file.name, why }))
        }
      }
    }
    jobs.delete(id)
    uploads.value = uploads.value.filter((upload) => upload.id !== id)
  }

  async function sendUntilDone(id: number, job: Job, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const session = useMatrix()
        const content = await uploadedContent(session, job, signal, (fraction) =>
          change(id, { fraction, isWaiting: false }),
        )
        session.outbox.add({ roomId: job.roomId, type: 'm.room.message', content })
        return
      } catch (error) {
        const failure = failureOf(error)
        if (!failure.isTransient || signal.aborted) throw failure
        change(id, { isWaiting: true, fraction: 0 })
        await pause(failure.retryAfterMs ?? RETRY_MS)
      }
    }
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  return { uploads, isBusy, add, cancel }
})

/** Uploads a file, and for a picture its small version, and makes the message of it. Spec: §m.image, §m.file, §Media captions. */
async function uploadedContent(
  session: Session,
  { roomId, file, caption, relation }: Job,
  signal: AbortSignal,
  onProgress: (fraction: number) => void,
): Promise<Record<string, unknown>> {
  const encrypt = session.rooms.rows().find((row) => row.roomId === roomId)?.isEncrypted ?? true
  const facts = file.type.startsWith('image/') ? await factsOfPicture(file) : null
  const thumbnailBlob = facts?.thumbnail?.blob
  const all = file.size + (thumbnailBlob?.size ?? 0)
  const main = await session.media.upload(file, {
    encrypt,
    name: file.name,
    signal,
    onProgress: (fraction) => onProgress((fraction * file.size) / Math.max(1, all)),
  })
  const small = thumbnailBlob
    ? await session.media.upload(thumbnailBlob, { encrypt, name: 'thumbnail', signal })
    : undefined
  const place = (key: string, uploaded: { mxc: string; encryption: object | null }): Record<string, unknown> =>
    uploaded.encryption ? { [`${key}file`]: uploaded.encryption } : { [`${key}url`]: uploaded.mxc }
  return {
    msgtype: facts ? 'm.image' : kindOf(file.type),
    body: caption || file.name,
    filename: file.name,
    ...place('', main),
    info: {
      mimetype: file.type || 'application/octet-stream',
      size: file.size,
      ...(facts ? { w: facts.width, h: facts.height, 'xyz.amorgan.blurhash': facts.blurhash } : {}),
      ...(small && facts?.thumbnail
        ? {
            ...place('thumbnail_', small),
            thumbnail_info: {
              mimetype: facts.thumbnail.blob.type,
              size: facts.thumbnail.blob.size,
              w: facts.thumbnail.width,
              h: facts.thumbnail.height,
            },
          }
        : {}),
    },
    ...relation,
  }
}

function kindOf(mime: string): 'm.audio' | 'm.video' | 'm.file' {
  if (mime.startsWith('audio/')) return 'm.audio'
  return mime.startsWith('video/') ? 'm.video' : 'm.file'
}
