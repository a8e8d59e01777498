import { execFile } from 'node:child_process'

/** A program's status and all that it said: both outputs for reading, and stdout alone. */
export interface Said {
  readonly status: number
  readonly all: string
  readonly stdout: string
}

/** Runs a program to its end, without holding up the test runner meanwhile. */
export function saidBy(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { maxBuffer: 16 * 1024 * 1024, ...options }, (error, stdout, stderr) => {
      if (error && child.exitCode === null) reject(error)
      else resolve({ status: child.exitCode ?? 0, all: stdout + stderr, stdout })
    })
  })
}
