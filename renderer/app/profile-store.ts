import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { Person } from '../matrix/index.ts'
import { onSession } from './current-session.ts'

/** The person who is signed in, as others see them. */
export const useProfileStore = defineStore('profile', () => {
  const me = shallowRef<Person>({ userId: '', name: '', avatar: null })

  onSession((session) => {
    me.value = session.account.profile()
    return [
      session.account.onProfile((now) => {
        me.value = now
      }),
    ]
  })

  return { me }
})
