/**
 * A partition's own files besides its segments. `snapshot-P`: all its rows as of position P (changes after P may be in it
 * already; they are applied again). `delta-A-B`: its changes after A up to B, copied from the journal. Both are written under
 * another name, synced and renamed, so they are there as a whole or not at all.
 */
import path from 'node:path'
import type { Row } from './contract.ts'
import type { Disk, DiskFile } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import { FrameReader, frameHeadBytes, newFrame, sealFrame, textFrame } from './frames.ts'
import type { Pace } from './pace.ts'
import { replaceFile } from './replace-file.ts'
import type { Key } from './rows.ts'
import type { SealedInfo } from './sealed.ts'

export interface SnapshotHead {
  readonly partition: string
  readonly position: number
  /** The next number for the name of a sealed file. */
  readonly nextFile: number
  readonly sealed: { readonly [collection: string]: SealedInfo & { readonly removed: readonly number[] } }
}

/** Rows of one collection, with their keys. */
export interface RowSource {
  readonly collection: string
  readonly rows: Iterable<readonly [Key, Row]>
}

const chunkBytes = 64 * 1024

export function snapshotName(position: number): string {
  return `snapshot-${padded(position)}`
}

export function deltaName(after: number, to: number): string {
  return `delta-${padded(after)}-${padded(to)}`
}

function padded(position: number): string {
  return String(position).padStart(16, '0')
}

export type FileKind =
  | { readonly kind: 'snapshot'; readonly name: string; readonly position: number }
  | { readonly kind: 'delta'; readonly name: string; readonly after: number; readonly to: number }
  | { readonly kind: 'other'; readonly name: string }

export function kindOf(name: string): FileKind {
  const snapshot = /^snapshot-(\d{16})$/.exec(name)
  if (snapshot) return { kind: 'snapshot', name, position: Number(snapshot[1]) }
  const delta = /^delta-(\d{16})-(\d{16})$/.exec(name)
  if (delta) return { kind: 'delta', name, after: Number(delta[1]), to: Number(delta[2]) }
  return { kind: 'other', name }
}

/** @returns the size of the file */
export async function writeSnapshot(options: {
  readonly disk: Disk
  readonly folder: string
  readonly head: SnapshotHead
  readonly sources: readonly RowSource[]
  readonly pace: Pace
}): Promise<number> {
  const { pace } = options
  let offset = 0
  await replaceFile(options.disk, path.join(options.folder, snapshotName(options.head.position)), async (file) => {
    let chunks = 0
    const append = async (text: string): Promise<void> => {
      const frame = textFrame(text)
      await file.write(offset, frame)
      offset += frame.length
      if (pace.isDue) await pace.rest()
    }
    await append(JSON.stringify(options.head))
    for (const { collection, rows } of options.sources) {
      let texts: string[] = []
      let length = 0
      const flush = async (): Promise<void> => {
        if (texts.length === 0) return
        chunks++
        await append(`[${JSON.stringify(collection)},${texts.join(',')}]`)
        texts = []
        length = 0
      }
      for (const [key, row] of rows) {
        const text = `${JSON.stringify(key)},${JSON.stringify(row)}`
        texts.push(text)
        length += text.length
        if (length >= chunkBytes) await flush()
        else if (pace.isDue) await pace.rest()
      }
      await flush()
    }
    await append(JSON.stringify({ chunks }))
  })
  return offset
}

/**
 * @param options.onHead comes first
 * @param options.onRow a key that comes twice has its last row
 * @returns the size of the file
 */
export async function readSnapshot(options: {
  readonly disk: Disk
  readonly file: string
  readonly partition: string
  readonly pace: Pace
  onHead(head: SnapshotHead): void
  onRow(collection: string, key: Key, row: Row): void
}): Promise<number> {
  const { file, pace } = options
  return await withFile(options.disk, file, async (handle) => {
    const size = await handle.size()
    const reader = new FrameReader(handle, size)
    const head = await nextText(reader, file)
    options.onHead(checkedHead(JSON.parse(head) as SnapshotHead, options.partition, file))
    for (let chunks = 0; ; chunks++) {
      const content = JSON.parse(await nextText(reader, file)) as [string, ...(Key | Row)[]] | { chunks: number }
      if (!Array.isArray(content)) {
        if (content.chunks === chunks && reader.offset === size) return size
        throw new StoreDamaged(`${file} does not end as it was written`)
      }
      const [collection] = content
      for (let i = 1; i < content.length; i += 2) {
        options.onRow(collection, content[i] as Key, Object.freeze(content[i + 1] as Row))
      }
      if (pace.isDue) await pace.rest()
    }
  })
}

interface DeltaHead {
  readonly partition: string
  readonly after: number
  readonly to: number
  readonly sections: number
}

/**
 * @param options.sections the JSON of each commit's changes, as `record.ts` has it
 * @returns the size of the file
 */
export async function writeDelta(options: {
  readonly disk: Disk
  readonly folder: string
  readonly partition: string
  readonly after: number
  readonly to: number
  readonly sections: readonly Buffer[]
  readonly pace: Pace
}): Promise<number> {
  const { partition, after, to, sections, pace } = options
  let offset = 0
  await replaceFile(options.disk, path.join(options.folder, deltaName(after, to)), async (file) => {
    const head: DeltaHead = { partition, after, to, sections: sections.length }
    let frames = [textFrame(JSON.stringify(head))]
    let length = 0
    const flush = async (): Promise<void> => {
      const bytes = Buffer.concat(frames)
      await file.write(offset, bytes)
      offset += bytes.length
      frames = []
      length = 0
    }
    for (const section of sections) {
      const frame = newFrame(section.length)
      section.copy(frame, frameHeadBytes)
      sealFrame(frame, 0)
      frames.push(frame)
      length += frame.length
      if (length >= chunkBytes) await flush()
      if (pace.isDue) await pace.rest()
    }
    await flush()
  })
  return offset
}

/**
 * @param options.onSection the JSON of each commit's changes, in order
 * @returns the size of the file
 */
export async function readDelta(options: {
  readonly disk: Disk
  readonly file: string
  readonly partition: string
  readonly pace: Pace
  onSection(json: string): void
}): Promise<number> {
  const { file, pace } = options
  return await withFile(options.disk, file, async (handle) => {
    const size = await handle.size()
    const reader = new FrameReader(handle, size)
    const head = checkedHead(JSON.parse(await nextText(reader, file)) as DeltaHead, options.partition, file)
    for (let i = 0; i < head.sections; i++) {
      options.onSection(await nextText(reader, file))
      if (pace.isDue) await pace.rest()
    }
    if (reader.offset !== size) throw new StoreDamaged(`${file} does not end as it was written`)
    return size
  })
}

async function withFile<T>(disk: Disk, file: string, work: (handle: DiskFile) => Promise<T>): Promise<T> {
  const handle = await disk.open(file, 'read')
  try {
    return await work(handle)
  } finally {
    await handle.close()
  }
}

async function nextText(reader: FrameReader, file: string): Promise<string> {
  const frame = await reader.next()
  if (!frame) throw new StoreDamaged(`${file} is damaged at byte ${reader.offset}`)
  return frame.body.toString('utf8')
}

function checkedHead<T extends { readonly partition: string }>(head: T, partition: string, file: string): T {
  if (head.partition !== partition) throw new StoreDamaged(`${file} belongs to another room`)
  return head
}
