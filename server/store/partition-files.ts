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
  /** What follows the snapshot, each beginning where the one before ended, or before that. */
  readonly deltas: readonly Delta[]
  /** Up to this position all is in these files. */
  readonly saved: number
  /** All that is in the folder. */
  readonly names: readonly string[]
}

/** @throws StoreDamaged when one of a row of deltas is missing */
export async function findFiles(disk: Disk, folder: string): Promise<OwnFiles> {
  const names = await disk.list(folder)
  const files = names.map(kindOf)
  const newest = files.filter((file) => file.kind === 'snapshot').reduce(newer, undefined)
  let saved = newest?.position ?? 0
  const deltas: Delta[] = []
  for (;;) {
    const later = files.filter((file) => file.kind === 'delta').filter((file) => file.to > saved)
    // After a failed sync of the folder there may be two with the same beginning, or one that begins before the snapshot's
    // position. What is applied again changes nothing.
    const next = later.filter((file) => file.after <= saved).reduce(longer, undefined)
    if (next) {
      const { name, after, to } = next
      deltas.push({ name, after, to, bytes: await disk.sizeOf(path.join(folder, name)) })
      saved = to
    } else if (later[0]) {
      throw new StoreDamaged(`${path.join(folder, later[0].name)}: what comes before it is missing`)
    } else break
  }
  const snapshot = newest && { name: newest.name, bytes: await disk.sizeOf(path.join(folder, newest.name)) }
  return { snapshot, deltas, saved, names }
}

type DeltaFile = FileKind & { readonly kind: 'delta' }

function longer(a: DeltaFile | undefined, b: DeltaFile): DeltaFile {
  return a && a.to > b.to ? a : b
}

type SnapshotFile = FileKind & { readonly kind: 'snapshot' }

function newer(a: SnapshotFile | undefined, b: SnapshotFile): SnapshotFile {
  return a && a.position > b.position ? a : b
}
