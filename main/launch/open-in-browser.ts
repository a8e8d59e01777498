import { spawn } from 'node:child_process'

/** Opens an address in the system's browser. Where that cannot be done nothing happens: the address has been printed. */
export function openInBrowser(address: string): void {
  const command = commandFor(process.platform, process.env)
  if (!command) return
  const [program, ...args] = command
  const child = spawn(program, [...args, address], { stdio: 'ignore', detached: true })
  child.on('error', () => console.error('No browser could be opened: open the address above yourself.'))
  child.unref()
}

/** @returns program and arguments, `undefined` where there is no display */
export function commandFor(
  platform: NodeJS.Platform,
  env: NodeJS.ProcessEnv,
): readonly [string, ...string[]] | undefined {
  if (platform === 'darwin') return ['open']
  // The empty string is the title that `start` takes a quoted address for.
  if (platform === 'win32') return ['cmd', '/c', 'start', '']
  return env.DISPLAY || env.WAYLAND_DISPLAY ? ['xdg-open'] : undefined
}
