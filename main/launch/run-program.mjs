import { spawn } from 'node:child_process'

/** Runs a program in this one's place, as far as Node can: what it is told it passes on, and it ends with its status. */
export function runProgram(program, args) {
  const child = spawn(program, args, { stdio: 'inherit' })
  let isStopping = false
  // A signal to this process alone must reach the program as well; the terminal's reach both.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isStopping = true
      child.kill(signal)
    })
  }
  // Ended by the signal itself, it had nothing to stop yet.
  child.on('exit', (code) => process.exit(code ?? (isStopping ? 0 : 1)))
  child.on('error', (error) => {
    console.error(`${program} cannot be run: ${error.message}`)
    process.exit(1)
  })
}
