import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { HomeStart, RunningHome } from './running-home.ts'

/** A process, as Node's `child_process` and Electron's `utilityProcess` both have it. */
export interface HomeProcess {
  readonly stdout: Readable
  readonly stderr: Readable
  /** Asks it to stop gracefully. */
  terminate(): void
  /** Ends it whatever it does. */
  kill(): void
  onExit(listener: (code: number | null) => void): void
}

const READY_WITHIN_MS = 60_000
/** The server's own limit is 5 s; what it has confirmed is on the disk in any case. */
const STOP_WITHIN_MS = 7_000
/** How long after its end the last words of a process may still be under way. */
const LAST_WORDS_WITHIN_MS = 1_000

/**
 * Follows the server in this process: it is ready with its `ready` line (interop/server-process.md), and says on stderr why
 * it ends.
 * @param findClaimCode reads the code that claims the home, `null` once somebody has
 * @param log gets every line of the server's log
 */
export function startHome(
  process: HomeProcess,
  findClaimCode: () => string | null,
  log: (line: string) => void,
): HomeStart {
  let lastWords: string | undefined
  const stderr = createInterface({ input: process.stderr })
  const allSaid = once(stderr, 'close')
  stderr.on('line', (line) => {
    log(line)
    lastWords = wordsOf(line) ?? lastWords
  })

  const listeners = new Set<(why: string) => void>()
  const exited = Promise.withResolvers<void>()
  const ready = Promise.withResolvers<RunningHome>()
  let isStopping = false

  const late = setTimeout(() => {
    ready.reject(new Error(`Your home did not start within ${READY_WITHIN_MS / 1_000} seconds`))
    void stop()
  }, READY_WITHIN_MS)
  ready.promise.then(
    () => clearTimeout(late),
    () => clearTimeout(late),
  )
  createInterface({ input: process.stdout }).on('line', (line) => {
    const url = readyAddress(line)
    if (url === undefined) return
    ready.resolve({ url, claimCode: findClaimCode, onExit: (listener) => void listeners.add(listener) })
  })
  process.onExit((code) => void tellOfExit(code))

  async function tellOfExit(code: number | null): Promise<void> {
    await Promise.race([allSaid, wait(LAST_WORDS_WITHIN_MS, undefined, { ref: false })])
    const why = lastWords ?? `The server ended with status ${code ?? 'unknown'}`
    ready.reject(new Error(isStopping ? 'Your home was stopped before it was ready' : why))
    exited.resolve()
    if (!isStopping) for (const listener of listeners) listener(why)
  }

  async function stop(): Promise<void> {
    if (isStopping) return exited.promise
    isStopping = true
    process.terminate()
    const stuck = setTimeout(() => process.kill(), STOP_WITHIN_MS)
    await exited.promise
    clearTimeout(stuck)
  }

  return { ready: ready.promise, stop }
}

/** The first client listener's address in a `ready` line; `undefined` for any other line. */
export function readyAddress(line: string): string | undefined {
  const ready = parsed(line) as {
    event?: unknown
    listeners?: readonly { address: string; port: number; serves: readonly string[] }[]
  } | null
  if (ready?.event !== 'ready') return undefined
  const client = ready.listeners?.find(({ serves }) => serves.includes('client'))
  if (!client) return undefined
  const host = client.address.includes(':') ? `[${client.address}]` : client.address
  return `http://${host}:${client.port}`
}

/** What a line of stderr tells a person of the server's end: its parting line, or the reason in a logged error. */
function wordsOf(line: string): string | undefined {
  if (line.startsWith('hearth: ')) return line.slice('hearth: '.length)
  const logged = parsed(line) as { level?: unknown; why?: unknown } | null
  return logged?.level === 'error' && typeof logged.why === 'string' ? logged.why : undefined
}

/** @returns `null` for what is not JSON */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // Other programs' words, such as Node's own warnings.
    return null
  }
}
