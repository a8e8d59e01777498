import { readonly, shallowRef } from 'vue'

const now = shallowRef(Date.now())
setInterval(() => {
  now.value = Date.now()
}, 60_000)

/** The time, ms since epoch, moving once a minute: one clock for all that says `today` or a weekday. */
export const useMinute = (): Readonly<typeof now> => readonly(now)
