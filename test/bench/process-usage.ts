import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Linux counts CPU time in hundredths of a second for every program. */
const TICK_MS = 10

/** What a process and its children have used. */
export class ProcessUsage {
  readonly #pid: number

  constructor(pid: number) {
    this.#pid = pid
  }

  /** CPU milliseconds since it started, user and system. */
  cpuMs(): number {
    let ticks = 0
    for (const pid of [this.#pid, ...childrenOf(this.#pid)]) {
      const fields = statFields(pid)
      if (fields) ticks += Number(fields[11]) + Number(fields[12])
    }
    return ticks * TICK_MS
  }

  /** Resident memory in MB, now and at most since the start. */
  memoryMb(): { readonly now: number; readonly peak: number } {
    const mb = { now: 0, peak: 0 }
    for (const pid of [this.#pid, ...childrenOf(this.#pid)]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      mb.now += Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024
      mb.peak += Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024
    }
    return mb
  }
}

/** Bytes of all files under a folder. */
export function folderBytes(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += folderBytes(path)
    else if (entry.isFile()) bytes += statSync(path).blocks * 512
  }
  return bytes
}

/** The process on this machine that listens on the port, or `undefined`. */
export function findListeningProcess(port: number): number | undefined {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(`:${hexPort}`) && fields[3] === '0A' && fields[9]) inodes.add(`socket:[${fields[9]}]`)
    }
  }
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))) return Number(pid)
      }
    } catch {
      // The process ended while we looked, or is not ours to look into.
    }
  }
  return undefined
}

function childrenOf(parent: number): readonly number[] {
  const direct = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => Number(statFields(pid)?.[1]) === parent)
  return direct.flatMap((pid) => [pid, ...childrenOf(pid)])
}

/** The fields of /proc/PID/stat behind the name: state, parent, …; `undefined` for a process that ended. */
function statFields(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
