/** Reads a file of the journal at the start, and tells a torn tail, which is cut, from damage, which stops the start. */
import type { Logger } from '../observe/environment.ts'
import type { DiskFile } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import { FrameReader } from './frames.ts'
import { type Drop, decodeLine } from './record.ts'

/** Where a section (the changes of one commit to one partition) lies. */
export interface Place {
  readonly position: number
  readonly partition: string
  readonly journal: number
  readonly offset: number
  readonly length: number
  readonly drop: Drop
}

export interface ScanOptions {
  readonly name: string
  readonly number: number
  readonly isNewest: boolean
  /** The last position of the file before; `undefined` for the oldest. */
  readonly after: number | undefined
  readonly logger: Logger
  onPlace(place: Place): void
}

export interface Scanned {
  /** Where the first record is. */
  readonly start: number
  /** The end of the last record. */
  readonly end: number
  /** The file's size, which may be larger by zeros. */
  readonly size: number
  /** The position of the last record, or of the last one before this file. */
  readonly position: number
}

/** @throws StoreDamaged for anything that is not as it was written, a torn tail of the newest file excepted */
export async function scanJournal(file: DiskFile, options: ScanOptions): Promise<Scanned> {
  const { name, number, after } = options
  const reader = new FrameReader(file)
  const head = await reader.next()
  const said = head && (JSON.parse(head.body.toString('utf8')) as { journal?: number; after?: number })
  if (said?.journal !== number || said.after === undefined || (after ?? said.after) !== said.after) {
    throw new StoreDamaged(`${name}: its head is not the one that was written`)
  }
  const start = reader.offset
  let position = said.after
  for (;;) {
    const frame = await reader.next()
    if (!frame) break
    const record = decodeLine(frame.body)
    if (record.position !== position + 1) {
      throw new StoreDamaged(`${name}: commit ${record.position} follows ${position} at byte ${frame.offset}`)
    }
    position = record.position
    for (const { partition, start, length, drop } of record.sections) {
      options.onPlace({ position, partition, journal: number, offset: frame.offset + start, length, drop })
    }
  }
  const end = reader.offset
  return { start, end, size: await cutAt(file, reader, options), position }
}

/**
 * What follows the last good record is nothing, or zeros for the next ones, or a torn tail that is cut, or damage.
 *
 * @returns the file's size afterwards
 */
async function cutAt(file: DiskFile, reader: FrameReader, { name, isNewest, logger }: ScanOptions): Promise<number> {
  const end = reader.offset
  const size = await file.size()
  if (await isZero(file, end, size)) return size
  const damage = new StoreDamaged(`${name} is damaged at byte ${end}`)
  if (!isNewest) throw damage
  // A frame's number is where its batch began, and a batch is written only after all before it was synced. So a later
  // batch proves that the bad bytes had been acknowledged; frames of the same batch prove nothing.
  for (let at = end; ; ) {
    const later = await reader.findAfter(at)
    if (!later) break
    if (later.number > end) throw damage
    at = later.offset
  }
  await file.truncate(end)
  await file.sync()
  logger.warn({ event: 'store.torn_tail_cut', file: name, bytes: size - end })
  return end
}

const readBytes = 1024 * 1024

async function isZero(file: DiskFile, from: number, to: number): Promise<boolean> {
  for (let at = from; at < to; at += readBytes) {
    const bytes = await file.read(at, Math.min(readBytes, to - at))
    if (!bytes.equals(Buffer.alloc(bytes.length))) return false
  }
  return true
}
