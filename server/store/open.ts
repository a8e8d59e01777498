import path from 'node:path'
import type { Logger } from '../observe/environment.ts'
import type { Disk } from './disk.ts'
import { DiskStore } from './disk-store.ts'
import { StoreDamaged, StoreLocked } from './errors.ts'
import { type Migration, migrate, writeFormat } from './format.ts'
import { Journal } from './journal.ts'
import type { Place } from './journal-scan.ts'
import { defaultLimits, type StoreLimits } from './limits.ts'
import { nodeDisk } from './node-disk.ts'

export interface OpenStore {
  /** Everything lies in here; made, for the owner alone, where it is missing. */
  readonly dir: string
  readonly disk?: Disk
  readonly logger?: Logger
  readonly limits?: Partial<StoreLimits>
  /** Only tests have others than the program's own. */
  readonly migrations?: readonly Migration[]
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/**
 * Opens the store of the folder, and what a crash or a power cut left of it.
 * @throws StoreLocked when another process has it
 * @throws UnknownFormat when a newer version of the program wrote it
 * @throws StoreDamaged when a file is not as it was written; a room's own files are looked at when the room is opened
 */
export async function openStore(options: OpenStore): Promise<DiskStore> {
  const { dir, disk = nodeDisk(), logger = silent, migrations } = options
  const limits = { ...defaultLimits, ...options.limits }
  await disk.makeFolder(dir)
  const unlock = await disk.lock(path.join(dir, 'lock'))
  if (!unlock) throw new StoreLocked(`${dir} is in use by another process of this program`)
  const folder = path.join(dir, 'journal')
  let journal: Journal | undefined
  try {
    if (!(await migrate(disk, dir, migrations))) await create({ disk, dir, folder, migrations })
    const places: Place[] = []
    const options = { disk, folder, logger, rotateBytes: limits.journalFileBytes }
    const [opened, position] = await Journal.open({ ...options, onPlace: (place) => places.push(place) })
    journal = opened
    const store = new DiskStore({ dir, disk, logger, limits, journal, position, places, unlock })
    await store.begin()
    return store
  } catch (error) {
    await journal?.close()
    unlock()
    throw error
  }
}

/** A new store. It counts as one from the last step on; what an interrupted try left is written over. */
async function create(options: {
  readonly disk: Disk
  readonly dir: string
  readonly folder: string
  readonly migrations: readonly Migration[] | undefined
}): Promise<void> {
  const { disk, dir, folder } = options
  const rooms = path.join(dir, 'rooms')
  const names = [...(await disk.list(rooms)), ...(await disk.list(path.join(dir, 'home')))]
  if (names.length > 0 || (await Journal.isUsed(disk, folder))) {
    throw new StoreDamaged(`${path.join(dir, 'format.json')} is missing`)
  }
  await disk.makeFolder(rooms)
  await Journal.create({ disk, folder })
  await writeFormat(disk, dir, options.migrations)
  await disk.syncFolder(path.dirname(dir))
}
