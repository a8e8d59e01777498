/** Commits that follow from their position alone, so that another process can tell what must be there. */
import { type Collection, collection, type Op, put, type Row, type StoreLimits } from '../../server/store/index.ts'

export const last = collection<{ id: string; n: number }>({ name: 'last', place: 'home', key: 'id', indexes: ['n'] })
export const all = collection<{ n: number; text: string }>({
  name: 'all',
  place: 'home',
  key: 'n',
  indexes: ['text'],
  segmented: true,
})
export const some = collection<{ n: number; id: string }>({
  name: 'some',
  place: 'room',
  key: 'n',
  indexes: ['id'],
  segmented: true,
})
export const rooms = ['!a', '!b', '!c'] as const

export const crashLimits: Partial<StoreLimits> = {
  segmentRows: 64,
  openRooms: 1,
  openBytes: 1,
  journalBytes: 30_000,
  journalFileBytes: 8_000,
  sliceMs: 1,
}

export function roomAt(position: number): string {
  return rooms[position % rooms.length] as string
}

/** The keys in a room are dense: every third commit is its own. */
export function keyAt(position: number): number {
  return Math.floor(position / rooms.length)
}

export const rowOf = (n: number): Row => ({ n, text: `text ${n} ${'x'.repeat((n * 37) % 300)}` })

export function opsAt(position: number): readonly Op[] {
  const key = keyAt(position)
  return [
    put(all as Collection, rowOf(position)),
    put(last, { id: 'last', n: position }),
    put(some, { n: key, id: `$${position}` }, roomAt(position)),
  ]
}
