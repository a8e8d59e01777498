import path from 'node:path'
import type { Disk } from './disk.ts'
import { StoreDamaged } from './errors.ts'
import { type FileKind, kindOf } from './snapshot.ts'

export interface Delta {
  readonly name: string
  readonly after: number
  readonly to: number
  readonly bytes: number
}

export interface OwnFiles {
  readonly snapshot: { readonly name: string; readonly bytes: number } | undefined
  /** What follows the snapshot, each beginning where the one before ended. */
  readonly deltas: readonly Delta[]
  /** Up to this position all is in these files. */
  readonly saved: number
}

/** @throws StoreDamaged when one of a row of deltas is missing */
export async function findFiles(disk: Disk, folder: string): Promise<OwnFiles> {
  const files = (await disk.list(folder)).map(kindOf)
  const newest = files.filter((file) => file.kind === 'snapshot').reduce(newer, undefined)
  let saved = newest?.position ?? 0
  const deltas: Delta[] = []
  const later = files.filter((file) => file.kind === 'delta').filter((file) => file.to > saved)
  for (const { name, after, to } of later.sort((a, b) => a.to - b.to)) {
    if (after !== saved) throw new StoreDamaged(`${path.join(folder, name)}: what comes before it is missing`)
    deltas.push({ name, after, to, bytes: await sizeOf(disk, path.join(folder, name)) })
    saved = to
  }
  const snapshot = newest && { name: newest.name, bytes: await sizeOf(disk, path.join(folder, newest.name)) }
  return { snapshot, deltas, saved }
}

type SnapshotFile = FileKind & { readonly kind: 'snapshot' }

function newer(a: SnapshotFile | undefined, b: SnapshotFile): SnapshotFile {
  return a && a.position > b.position ? a : b
}

async function sizeOf(disk: Disk, file: string): Promise<number> {
  const handle = await disk.open(file, 'read')
  try {
    return await handle.size()
  } finally {
    await handle.close()
  }
}
