// Hearth without Electron: the server in a process of its own, and its page in the system's browser.
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { childHome } from '../homeserver/child-home.ts'
import { findClaimCode } from '../homeserver/claim-code.ts'
import { prepareHomeFolder, usualHomeFolder } from '../homeserver/home-folder.ts'
import type { HomeStart, RunningHome } from '../homeserver/running-home.ts'
import { startHome } from '../homeserver/start-home.ts'
import { openInBrowser } from './open-in-browser.ts'
import { readStartOptions, type StartOptions, USAGE } from './start-options.ts'

const EXIT_FAILED = 1
const EXIT_BAD_OPTIONS = 2

// The terminal that we wrote to may close before the home has stopped.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

// Before anything is made, so that whoever changes their mind need not wait. The terminal sends its Ctrl+C to the server, too;
// asking twice changes nothing. It sends SIGHUP when it is closed.
let start: HomeStart | undefined
let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stopAll())

await main()

async function main(): Promise<void> {
  let options: StartOptions
  try {
    options = readStartOptions(process.argv.slice(2), { isStrict: true })
  } catch (cause) {
    return end(EXIT_BAD_OPTIONS, `${messageOf(cause)}\n${USAGE}`)
  }
  if (options.isHelpWanted) console.log(USAGE)
  else await runHome(options)
}

async function runHome(options: StartOptions): Promise<void> {
  const folder = options.home ?? usualHomeFolder(process.platform, process.env, homedir())
  let config: string
  try {
    config = await prepareHomeFolder(folder, options)
  } catch (cause) {
    return end(EXIT_FAILED, `Hearth could not start: ${messageOf(cause)}`)
  }
  start = startHome(
    childHome(config),
    () => findClaimCode(config),
    (line) => process.stderr.write(`${line}\n`),
  )
  try {
    show(await start.ready, config, options.isBrowserWanted)
  } catch (cause) {
    if (!isStopping) end(EXIT_FAILED, `Hearth could not start: ${messageOf(cause)}\nIts settings are in ${config}`)
  }
}

async function stopAll(): Promise<void> {
  isStopping = true
  await start?.stop()
  end(0)
}

function show(home: RunningHome, config: string, isBrowserWanted: boolean): void {
  home.onExit((why) => end(EXIT_FAILED, `Your home has stopped: ${why}`))
  const code = home.claimCode()
  const address = code === null ? `${home.url}/` : `${home.url}/#claim=${code}`
  console.log(`Your home is running. Its page: ${address}`)
  if (code !== null) console.log('It belongs to nobody yet: whoever opens this address first makes it theirs.')
  console.log(`Its settings and data are in ${dirname(config)}. Stop it with Ctrl+C.`)
  if (isBrowserWanted) openInBrowser(address)
}

/** Not left to an empty event loop: the signal handlers alone would keep it. */
function end(status: number, why?: string): never {
  if (why !== undefined) console.error(why)
  process.exit(status)
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
