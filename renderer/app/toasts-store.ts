import { defineStore } from 'pinia'
import { shallowRef } from 'vue'

export interface Toast {
  readonly id: number
  readonly kind: 'note' | 'problem'
  readonly text: string
}

const SHOWN_MS = 7_000

/** Short messages in the corner. Texts come translated. */
export const useToastsStore = defineStore('toasts', () => {
  const toasts = shallowRef<readonly Toast[]>([])
  let nextId = 1

  function close(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id)
  }

  function show(kind: Toast['kind'], text: string): void {
    const id = nextId++
    // the same words twice are one message
    toasts.value = [...toasts.value.filter((toast) => toast.text !== text), { id, kind, text }].slice(-3)
    setTimeout(() => close(id), SHOWN_MS)
  }

  return { toasts, show, close }
})
