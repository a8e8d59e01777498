import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { onSession, useMatrix } from '../app/current-session.ts'
import { useToastsStore } from '../app/toasts-store.ts'
import { i18n } from '../i18n/index.ts'
import { failureOf, type RoomRow } from '../matrix/index.ts'

/** The rooms and invitations of the person. */
export const useRoomListStore = defineStore('roomList', () => {
  const rows = shallowRef<readonly RoomRow[]>([])
  const search = ref('')
  /** Invitations being answered. */
  const busy = shallowRef<ReadonlySet<string>>(new Set())

  onSession(
    (session) => {
      rows.value = session.rooms.rows()
      return [
        session.rooms.onChange((now) => {
          rows.value = now
        }),
      ]
    },
    () => {
      rows.value = []
      search.value = ''
    },
  )

  const invites = computed(() => rows.value.filter(({ membership }) => membership === 'invite'))
  const joined = computed(() => rows.value.filter(({ membership }) => membership === 'join'))
  const shown = computed(() => filterRooms(joined.value, search.value))
  const totalUnread = computed(() => joined.value.reduce((sum, { unread }) => sum + unread, 0) + invites.value.length)
  const find = (roomId: string): RoomRow | undefined => rows.value.find((row) => row.roomId === roomId)

  /** Accepts or declines an invitation. @param done runs after it worked */
  async function answer(roomId: string, yes: boolean, done?: () => unknown): Promise<void> {
    if (busy.value.has(roomId)) return
    busy.value = new Set([...busy.value, roomId])
    try {
      const { actions } = useMatrix()
      await (yes ? actions.accept(roomId) : actions.leave(roomId))
    } catch (error) {
      useToastsStore().show('problem', i18n.global.t(`failure.${failureOf(error).kind}`))
      return
    } finally {
      busy.value = new Set([...busy.value].filter((other) => other !== roomId))
    }
    done?.()
  }

  return { rows, search, busy, invites, joined, shown, totalUnread, find, answer }
})

/** Rooms whose name or person matches, whatever the accents and capitals. */
export function filterRooms(rows: readonly RoomRow[], search: string): readonly RoomRow[] {
  const plain = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase()
  const wanted = plain(search.trim())
  if (wanted === '') return rows
  return rows.filter(({ name, directWith }) => plain(name).includes(wanted) || plain(directWith ?? '').includes(wanted))
}
