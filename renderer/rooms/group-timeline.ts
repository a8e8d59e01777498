import type { MessageRow, NoteRow, TimelineRow } from '../matrix/index.ts'

export type TimelineItem =
  | { readonly kind: 'beginning'; readonly key: string }
  | { readonly kind: 'day'; readonly key: string; readonly ts: number }
  | { readonly kind: 'new'; readonly key: string }
  | {
      readonly kind: 'message'
      readonly key: string
      readonly row: MessageRow
      /** First and last of a run by one person: the first shows who, the last shows when. */
      readonly isFirst: boolean
      readonly isLast: boolean
    }
  | { readonly kind: 'note'; readonly key: string; readonly row: NoteRow }
  | { readonly kind: 'notes'; readonly key: string; readonly rows: readonly NoteRow[] }

/** Messages by one person further apart than this begin a new run. */
const RUN_MS = 5 * 60_000
/** Of more notes than this in a row, all but the newest are folded into one line. */
const NOTES_SHOWN = 3
const NOTES_KEPT = 2

export interface GroupOptions {
  readonly hasOlder: boolean
  /** The newest event that had been read when the room was opened; `null`: no line is drawn. */
  readonly readUpTo: string | null
  /** The day of a time, as a text that is the same for the same day where the reader is. */
  readonly dayOf: (ts: number) => string
}

/** Rows as they are shown: with lines between days, runs of one person together, and many small notes folded. */
export function groupTimeline(rows: readonly TimelineRow[], options: GroupOptions): TimelineItem[] {
  const items: TimelineItem[] = []
  if (!options.hasOlder) items.push({ kind: 'beginning', key: 'beginning' })
  let day: string | undefined
  let notes: NoteRow[] = []
  const newAt = firstUnreadOf(rows, options.readUpTo)

  const putNotes = (): void => {
    const folded = notes.length > NOTES_SHOWN ? notes.slice(0, -NOTES_KEPT) : []
    const last = folded.at(-1)
    if (last) items.push({ kind: 'notes', key: `notes ${last.key}`, rows: folded })
    for (const row of notes.slice(folded.length)) items.push({ kind: 'note', key: row.key, row })
    notes = []
  }

  rows.forEach((row, at) => {
    const rowDay = options.dayOf(row.ts)
    if (rowDay !== day) {
      putNotes()
      day = rowDay
      items.push({ kind: 'day', key: `day ${rowDay}`, ts: row.ts })
    }
    if (at === newAt) {
      putNotes()
      items.push({ kind: 'new', key: 'new' })
    }
    if (row.kind === 'note') {
      notes.push(row)
      return
    }
    putNotes()
    const before = at === newAt ? undefined : rows[at - 1]
    const after = at + 1 === newAt ? undefined : rows[at + 1]
    items.push({
      kind: 'message',
      key: row.key,
      row,
      isFirst: !(before && isSameRun(before, row, options.dayOf)),
      isLast: !(after && isSameRun(row, after, options.dayOf)),
    })
  })
  putNotes()
  return uniqueKeys(items)
}

function isSameRun(a: TimelineRow, b: TimelineRow, dayOf: (ts: number) => string): boolean {
  return (
    a.kind === 'message' &&
    b.kind === 'message' &&
    a.sender.userId === b.sender.userId &&
    Math.abs(b.ts - a.ts) < RUN_MS &&
    dayOf(a.ts) === dayOf(b.ts)
  )
}

/** The first message of others after what had been read; -1 where nothing is new. */
function firstUnreadOf(rows: readonly TimelineRow[], readUpTo: string | null): number {
  if (readUpTo === null) return -1
  const read = rows.findIndex((row) => row.eventId === readUpTo)
  if (read === -1) return -1
  const next = rows.findIndex((row, at) => at > read && row.kind === 'message')
  if (next === -1) return -1
  // what we wrote ourselves is not news: whoever answers has read
  const others = rows.findIndex((row, at) => at >= next && row.kind === 'message' && !row.isOwn)
  return rows.slice(next).every((row) => row.kind !== 'message' || row.isOwn) ? -1 : others
}

/** A clock that jumps can make a day come twice; keys must differ all the same. */
function uniqueKeys(items: TimelineItem[]): TimelineItem[] {
  const seen = new Map<string, number>()
  return items.map((item) => {
    const count = seen.get(item.key) ?? 0
    seen.set(item.key, count + 1)
    return count === 0 ? item : { ...item, key: `${item.key} ${count}` }
  })
}

/**
 * Whether the second list is the first with something put before it: then the view keeps its place from the end.
 */
export function isPrepended(before: readonly TimelineItem[], after: readonly TimelineItem[]): boolean {
  const lastBefore = before.at(-1)
  const lastAfter = after.at(-1)
  if (!lastBefore || !lastAfter || after.length <= before.length) return false
  return lastBefore.key === lastAfter.key
}
