import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { findSession, onSession, useMatrix } from '../app/current-session.ts'
import { useToastsStore } from '../app/toasts-store.ts'
import { i18n } from '../i18n/index.ts'
import { failureOf, type MessageRow, type RoomTimeline, type TimelineSnapshot } from '../matrix/index.ts'
import { groupTimeline, type TimelineItem } from './group-timeline.ts'
import { dayOf } from './when.ts'

const EMPTY: TimelineSnapshot = { rows: [], readers: new Map(), hasOlder: false, readUpTo: null }

/** The room that is open. */
export const useTimelineStore = defineStore('timeline', () => {
  const roomId = ref<string | null>(null)
  const snapshot = shallowRef<TimelineSnapshot>(EMPTY)
  const older = ref<'idle' | 'loading' | 'failed'>('idle')
  const isHere = ref(false)
  const replyTo = shallowRef<MessageRow | null>(null)
  let timeline: RoomTimeline | undefined
  let unfollow: (() => void) | undefined

  const items = computed<TimelineItem[]>(() => {
    const { rows, hasOlder, readUpTo } = snapshot.value
    return groupTimeline(rows, { hasOlder, readUpTo, dayOf })
  })

  const shut = (): void => {
    unfollow?.()
    timeline?.close()
    timeline = undefined
    unfollow = undefined
    snapshot.value = EMPTY
    isHere.value = false
    older.value = 'idle'
    replyTo.value = null
  }

  const attach = (): void => {
    const session = findSession()
    const id = roomId.value
    if (!session || id === null || isHere.value) return
    const row = session.rooms.rows().find((one) => one.roomId === id)
    if (row?.membership !== 'join') return
    const opened = session.openTimeline(id)
    timeline = opened
    snapshot.value = opened.snapshot()
    isHere.value = true
    unfollow = opened.onChange((now) => {
      snapshot.value = now
    })
    if (snapshot.value.hasOlder && snapshot.value.rows.length < 20) void loadOlder()
  }

  onSession((session) => {
    attach()
    return [
      // the room may arrive, or be left, while it is open
      session.rooms.onChange((rows) => {
        const row = rows.find((one) => one.roomId === roomId.value)
        if (isHere.value && row?.membership !== 'join') shut()
        else attach()
      }),
    ]
  }, shut)

  function open(next: string | null): void {
    if (next === roomId.value) return
    shut()
    roomId.value = next
    attach()
  }

  async function loadOlder(): Promise<void> {
    const opened = timeline
    if (!opened || older.value === 'loading') return
    older.value = 'loading'
    try {
      await opened.loadOlder()
      if (timeline === opened) older.value = 'idle'
    } catch {
      // shown in the timeline, with a way to try again
      if (timeline === opened) older.value = 'failed'
    }
  }

  /** Tells the others that we have read; only ever called while the newest is really being looked at. */
  async function markRead(): Promise<void> {
    try {
      await timeline?.markRead()
    } catch {
      // said again with the next message or the next look; nothing for the person to do
    }
  }

  async function removeMessage(row: MessageRow): Promise<void> {
    if (!row.eventId || !roomId.value) return
    try {
      await useMatrix().actions.removeEvent(roomId.value, row.eventId)
    } catch (error) {
      useToastsStore().show('problem', i18n.global.t(`failure.${failureOf(error).kind}`))
    }
  }

  async function toggleReaction(row: MessageRow, key: string): Promise<void> {
    const id = roomId.value
    if (!row.eventId || !id) return
    const own = row.reactions.find((reaction) => reaction.key === key)?.ownEventId
    if (!own) {
      useMatrix().outbox.add({
        roomId: id,
        type: 'm.reaction',
        content: { 'm.relates_to': { rel_type: 'm.annotation', event_id: row.eventId, key } },
      })
      return
    }
    try {
      await useMatrix().actions.removeEvent(id, own)
    } catch (error) {
      useToastsStore().show('problem', i18n.global.t(`failure.${failureOf(error).kind}`))
    }
  }

  const sendAgain = (row: MessageRow): void => useMatrix().outbox.retry(row.key)
  const discard = (row: MessageRow): void => useMatrix().outbox.discard(row.key)

  return {
    roomId,
    snapshot,
    items,
    older,
    isHere,
    replyTo,
    open,
    loadOlder,
    markRead,
    removeMessage,
    toggleReaction,
    sendAgain,
    discard,
  }
})
