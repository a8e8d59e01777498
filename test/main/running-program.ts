import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
/** Far more than anything here takes on a quiet machine. */
const OUTPUT_WITHIN_MS = 60_000

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number
  /** Both outputs, in the order in which they came. */
  readonly output: string
  /** Its status, once it has ended and all its output has come; -1 where a signal ended it. */
  readonly exited: Promise<number>
  /** What the pattern's first group matches, as soon as the output has it. */
  until(pattern: RegExp): Promise<string>
  /** To all processes of its group, as a terminal's Ctrl+C goes. */
  signalGroup(signal: NodeJS.Signals): void
  /** Command lines of the group's processes that still run. */
  survivors(): readonly string[]
}

const running = new Set<RunningProgram>()

/** A port that was free a moment ago and that nobody else is likely to ask for: tests of several files run side by side. */
export async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** For `afterEach`: a test that ran out of time never comes to dispose of what it started. */
export async function killWhatRuns(): Promise<void> {
  await Promise.all([...running].map((program) => program[Symbol.asyncDispose]()))
}

/** Runs a program from the top folder, in a process group of its own that is killed at the end of the test. */
export function run(command: string, args: readonly string[], { env = {} }: RunOptions = {}): RunningProgram {
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid
  if (pid === undefined) throw new Error(`${command} cannot be run`)
  let output = ''
  const watchers = new Set<() => void>()
  const tell = (): void => {
    for (const watcher of watchers) watcher()
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      tell()
    })
  }
  const exited = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      resolve(code ?? -1)
      tell()
    })
  })
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null

  const program: RunningProgram = {
    pid,
    exited,
    get output() {
      return output
    },
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void): void => {
          clearTimeout(late)
          watchers.delete(look)
          settle()
        }
        const look = (): void => {
          const found = pattern.exec(output)
          if (found) finish(() => resolve(found[1] ?? found[0]))
          else if (hasEnded()) finish(() => reject(new Error(`it ended without ${pattern}:\n${output}`)))
        }
        const late = setTimeout(
          () => finish(() => reject(new Error(`no ${pattern} in time:\n${output}`))),
          OUTPUT_WITHIN_MS,
        )
        watchers.add(look)
        look()
      }),
    signalGroup: (signal) => void process.kill(-pid, signal),
    survivors: () => commandsOfGroup(pid),
    async [Symbol.asyncDispose]() {
      if (commandsOfGroup(pid).length > 0) process.kill(-pid, 'SIGKILL')
      await exited
      running.delete(program)
    },
  }
  running.add(program)
  return program
}

/** From /proc: what runs in a process group, without what has ended and only waits to be counted. */
function commandsOfGroup(group: number): readonly string[] {
  if (!existsSync('/proc')) throw new Error('these tests need Linux')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((id) => {
      try {
        // After the name, which may hold anything but ends with the last bracket: state, parent, group.
        const [state, , groupId] = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
        if (Number(groupId) !== group || state === 'Z') return []
        return [readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')]
      } catch {
        // It ended while we looked.
        return []
      }
    })
}
