import { onScopeDispose, type ShallowRef, shallowRef, watch } from 'vue'
import { findSession, onSession } from '../app/current-session.ts'
import { failureOf, type MediaRef } from '../matrix/index.ts'

export type MediaState = 'none' | 'loading' | 'ready' | 'failed'

interface Entry {
  url: string | undefined
  loading: Promise<string> | undefined
  users: number
}

/** Pictures that nobody shows any more are kept up to this many, so that scrolling back shows them at once. */
const KEPT = 150
const entries = new Map<string, Entry>()

function release(key: string): void {
  const entry = entries.get(key)
  if (!entry) return
  entry.users--
  // least recently released goes first
  entries.delete(key)
  entries.set(key, entry)
  if (entries.size <= KEPT) return
  for (const [other, { users, url }] of entries) {
    if (users > 0) continue
    if (url) URL.revokeObjectURL(url)
    entries.delete(other)
    if (entries.size <= KEPT) return
  }
}

/** Forgets everything, when the session ends. */
export function forgetMedia(): void {
  for (const { url } of entries.values()) if (url) URL.revokeObjectURL(url)
  entries.clear()
}

function load(key: string, fetchBlob: () => Promise<Blob>): Entry {
  const entry = entries.get(key) ?? { url: undefined, loading: undefined, users: 0 }
  entries.set(key, entry)
  entry.users++
  entry.loading ??= fetchBlob().then((blob) => {
    entry.url = URL.createObjectURL(blob)
    return entry.url
  })
  // a failed one is asked for again next time
  entry.loading.catch(() => {
    entry.loading = undefined
  })
  return entry
}

/** What to fetch: a small plain picture made by the server, or a file as it is. */
export type Wanted = { readonly mxc: string; readonly size: number } | { readonly media: MediaRef } | null

/**
 * An address that an `<img>` can show, for as long as the component lives.
 * @returns `retry` asks again after a failure
 */
export function useMediaUrl(wanted: () => Wanted): {
  url: ShallowRef<string | undefined>
  state: ShallowRef<MediaState>
  retry: () => void
} {
  const url = shallowRef<string>()
  const state = shallowRef<MediaState>('none')
  const round = shallowRef(0)
  let held: string | undefined

  const drop = (): void => {
    if (held !== undefined) release(held)
    held = undefined
  }

  watch(
    [() => keyOf(wanted()), round],
    ([key], _before, onCleanup) => {
      drop()
      url.value = undefined
      const want = wanted()
      const session = findSession()
      if (!key || !want || !session) {
        state.value = 'none'
        return
      }
      held = key
      const entry = load(key, () =>
        'media' in want ? session.media.download(want.media) : session.media.thumbnail(want.mxc, want.size),
      )
      if (entry.url) {
        url.value = entry.url
        state.value = 'ready'
        return
      }
      state.value = 'loading'
      let isCurrent = true
      onCleanup(() => {
        isCurrent = false
      })
      entry.loading?.then(
        (ready) => {
          if (!isCurrent) return
          url.value = ready
          state.value = 'ready'
        },
        (error: unknown) => {
          if (isCurrent && failureOf(error).kind !== 'cancelled') state.value = 'failed'
        },
      )
    },
    { immediate: true },
  )
  onScopeDispose(drop)
  return {
    url,
    state,
    retry: () => {
      round.value++
    },
  }
}

function keyOf(wanted: Wanted): string | undefined {
  if (!wanted) return undefined
  return 'media' in wanted ? `file ${wanted.media.mxc}` : `small ${wanted.size} ${wanted.mxc}`
}

/** Call once, where the page starts: nothing of one person's pictures stays for the next. */
export function watchMediaLife(): void {
  onSession(() => [], forgetMedia)
}
