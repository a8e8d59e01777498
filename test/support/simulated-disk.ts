/**
 * A disk in memory that can do what real ones do: lose what was not synced when the power goes, part of a write or a later
 * write without an earlier one included; fill up in the middle of a write; and give errors at chosen operations.
 */
import path from 'node:path'
import type { Disk, DiskFile } from '../../server/store/index.ts'
import { type Seeded, seeded } from './seeded.ts'

type Pending = { readonly offset: number; readonly bytes: Buffer } | { readonly size: number }

interface Inode {
  /** What a reader sees. */
  content: Buffer
  /** What a power cut leaves for certain. */
  durable: Buffer
  pending: Pending[]
}

/** A change of names that happens as a whole or not at all; `undefined` removes the name. */
type Naming = ReadonlyMap<string, Inode | undefined>

export interface Operation {
  readonly kind:
    | 'open'
    | 'create'
    | 'read'
    | 'write'
    | 'sync'
    | 'truncate'
    | 'rename'
    | 'remove'
    | 'list'
    | 'syncFolder'
    | 'makeFolder'
  readonly path: string
}

const sectorBytes = 512

export class SimulatedDisk {
  /** Bytes that all files may have together. */
  capacity = Number.POSITIVE_INFINITY
  /** Says with which error an operation fails; it then has no effect. */
  fault: (operation: Operation) => NodeJS.ErrnoException | undefined = () => undefined
  /** How many operations there were. */
  operations = 0
  /** The power goes at this operation. */
  cutAt = Number.POSITIVE_INFINITY
  /** The process is killed at this operation. */
  killAt = Number.POSITIVE_INFINITY
  readonly #random: Seeded
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #pendingNames = new Map<string, Naming[]>()
  #locks = new Set<string>()
  #session = {}

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  /** The disk as one process sees it: once it was killed or the power was cut, it gets nothing done any more. */
  connect(): Disk {
    const session = this.#session
    // The check and the effect are one step, so that no power cut comes in between.
    const act: Act = async (kind, file, effect) => {
      await Promise.resolve()
      if (this.#session !== session) throw failure('EIO', ended)
      const number = ++this.operations
      if (number >= this.cutAt) this.powerCut()
      else if (number >= this.killAt) this.kill()
      if (this.#session !== session) throw failure('EIO', ended)
      const error = this.fault({ kind, path: file })
      if (error) throw error
      return effect()
    }
    return {
      open: (file, mode) => act(mode === 'create' ? 'create' : 'open', file, () => this.#open(file, mode, act)),
      rename: (from, to) =>
        act('rename', to, () => {
          const inode = this.#names.get(from)
          if (!inode) throw failure('ENOENT', from)
          const naming: [string, Inode | undefined][] = [
            [from, undefined],
            [to, inode],
          ]
          this.#rename(path.dirname(to), new Map(naming))
        }),
      remove: (file) =>
        act('remove', file, () => {
          if (this.#names.has(file)) this.#rename(path.dirname(file), new Map([[file, undefined]]))
        }),
      sizeOf: (file) =>
        act('read', file, () => {
          const inode = this.#names.get(file)
          if (!inode) throw failure('ENOENT', file)
          return inode.content.length
        }),
      list: (folder) =>
        act('list', folder, () => {
          const prefix = `${folder}${path.sep}`
          const below = [...this.#names.keys()].filter((name) => name.startsWith(prefix))
          return [...new Set(below.map((name) => name.slice(prefix.length).split(path.sep)[0] as string))]
        }),
      makeFolder: (folder) => act('makeFolder', folder, () => {}),
      removeFolder: (folder) => act('remove', folder, () => {}),
      syncFolder: (folder) =>
        act('syncFolder', folder, () => {
          for (const naming of this.#pendingNames.get(folder) ?? []) apply(this.#durableNames, naming)
          this.#pendingNames.delete(folder)
        }),
      lock: async (file) => {
        if (this.#locks.has(file)) return undefined
        this.#locks.add(file)
        return () => {
          if (this.#session === session) this.#locks.delete(file)
        }
      },
    }
  }

  /** The process ends, and with it its locks. The system goes on: all that was written can be read, synced or not. */
  kill(): void {
    this.#session = {}
    this.#locks = new Set()
    this.cutAt = Number.POSITIVE_INFINITY
    this.killAt = Number.POSITIVE_INFINITY
  }

  /** What was not synced is kept, torn, or lost, as chance has it. */
  powerCut(): void {
    this.kill()
    const survival = this.#random.pick([0, 0.3, 0.7, 0.95, 1])
    for (const namings of this.#pendingNames.values()) {
      for (const naming of namings) if (this.#random.chance(survival)) apply(this.#durableNames, naming)
    }
    this.#pendingNames = new Map()
    this.#names = new Map(this.#durableNames)
    for (const inode of new Set(this.#names.values())) {
      for (const pending of inode.pending) this.#settle(inode, pending, survival)
      inode.pending = []
      inode.content = Buffer.from(inode.durable)
    }
  }

  /** Changes bytes behind everybody's back, as a bad sector does. */
  damage(file: string, change: (content: Buffer) => Buffer): void {
    const inode = this.#names.get(file)
    if (!inode) throw new Error(`no file ${file}`)
    inode.content = change(Buffer.from(inode.content))
    inode.durable = Buffer.from(inode.content)
  }

  contentOf(file: string): Buffer {
    const inode = this.#names.get(file)
    if (!inode) throw new Error(`no file ${file}`)
    return Buffer.from(inode.content)
  }

  delete(file: string): void {
    if (!this.#names.delete(file)) throw new Error(`no file ${file}`)
    this.#durableNames.delete(file)
  }

  files(): readonly string[] {
    return [...this.#names.keys()]
  }

  get usedBytes(): number {
    let sum = 0
    for (const inode of this.#names.values()) sum += inode.content.length
    return sum
  }

  #rename(folder: string, naming: Naming): void {
    apply(this.#names, naming)
    this.#pendingNames.set(folder, [...(this.#pendingNames.get(folder) ?? []), naming])
  }

  #truncate(inode: Inode, size: number): void {
    inode.content = resized(inode.content, size)
    inode.pending.push({ size })
  }

  #settle(inode: Inode, pending: Pending, survival: number): void {
    if ('size' in pending) {
      if (this.#random.chance(survival)) inode.durable = resized(inode.durable, pending.size)
      return
    }
    for (let at = 0; at < pending.bytes.length; ) {
      const offset = pending.offset + at
      const length = Math.min(sectorBytes - (offset % sectorBytes), pending.bytes.length - at)
      if (this.#random.chance(survival)) {
        inode.durable = resized(inode.durable, Math.max(inode.durable.length, offset + length))
        pending.bytes.copy(inode.durable, offset, at, at + length)
      }
      at += length
    }
  }

  #open(file: string, mode: 'read' | 'create' | 'log', act: Act): DiskFile {
    let inode = this.#names.get(file)
    if (!inode && mode !== 'create') throw failure('ENOENT', file)
    if (!inode) {
      inode = { content: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] }
      this.#rename(path.dirname(file), new Map([[file, inode]]))
    } else if (mode === 'create') this.#truncate(inode, 0)
    return this.#file(inode, { file, isLog: mode === 'log' }, act)
  }

  #file(inode: Inode, { file, isLog }: { file: string; isLog: boolean }, act: Act): DiskFile {
    let isOpen = true
    const acting: Act = async (kind, name, effect) => {
      if (!isOpen) throw failure('EBADF', file)
      return await act(kind, name, effect)
    }
    const write = (offset: number, bytes: Buffer): void => this.#write(inode, file, { offset, bytes })
    const sync = (): Promise<void> =>
      acting('sync', file, () => {
        inode.durable = Buffer.from(inode.content)
        inode.pending = []
      })
    return {
      read: (offset, length) =>
        acting('read', file, () => Buffer.from(inode.content.subarray(offset, offset + length))),
      async write(offset, bytes) {
        await acting('write', file, () => write(offset, bytes))
        if (isLog) await sync()
      },
      sync,
      truncate: (size) => acting('truncate', file, () => this.#truncate(inode, size)),
      size: () => acting('read', file, () => inode.content.length),
      close: async () => {
        isOpen = false
      },
    }
  }

  /** As much as there is room for. */
  #write(inode: Inode, file: string, { offset, bytes }: { offset: number; bytes: Buffer }): void {
    const growth = Math.max(0, offset + bytes.length - inode.content.length)
    const room = Math.max(0, this.capacity - this.usedBytes)
    const written = Buffer.from(growth > room ? bytes.subarray(0, bytes.length - growth + room) : bytes)
    inode.content = resized(inode.content, Math.max(inode.content.length, offset + written.length))
    written.copy(inode.content, offset)
    inode.pending.push({ offset, bytes: written })
    if (written.length < bytes.length) throw failure('ENOSPC', file)
  }
}

type Act = <T>(kind: Operation['kind'], file: string, effect: () => T) => Promise<T>

export function failure(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}

/** Whether the error comes from a process going on after it was killed, or the power was cut. */
export function isAfterEnd(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at.message.includes(ended)) return true
  return false
}

const ended = 'this process has ended'

function apply(names: Map<string, Inode>, naming: Naming): void {
  for (const [name, inode] of naming) {
    if (inode) names.set(name, inode)
    else names.delete(name)
  }
}

function resized(bytes: Buffer, size: number): Buffer {
  if (size <= bytes.length) return Buffer.from(bytes.subarray(0, size))
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length)])
}
