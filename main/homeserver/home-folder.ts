import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { nameHome, systemRandom } from '../../server/index.ts'
import { isServerName } from '../../shared/matrix/server-name.ts'

const USUAL_PORT = 8008
/** How many ports after the usual one are tried before any free one is taken. */
const PORTS_TRIED = 20

/**
 * Where a home lies that was not told where: the system's folder for programs' data.
 * @param env the environment variables
 */
export function usualHomeFolder(platform: NodeJS.Platform, env: NodeJS.ProcessEnv, homeDir: string): string {
  if (platform === 'darwin') return join(homeDir, 'Library', 'Application Support', 'Hearth')
  if (platform === 'win32') return join(env.APPDATA ?? join(homeDir, 'AppData', 'Roaming'), 'Hearth')
  return join(env.XDG_DATA_HOME ?? join(homeDir, '.local', 'share'), 'hearth')
}

/**
 * The home's configuration file, made with its root key at the first start: a name that proves itself (product.md), and one
 * listener that only this machine reaches; so whoever reaches it may make an account.
 * @param wanted `domain`: the home's own, where it has one; a server's name never changes, so later on it must be the same one.
 * `port`: of a new home, instead of the first free one from 8008 on
 * @returns the file's path
 * @throws Error that tells a person what is wrong with the domain
 */
export async function prepareHomeFolder(
  folder: string,
  { domain, port }: { readonly domain?: string | undefined; readonly port?: number | undefined } = {},
): Promise<string> {
  if (domain !== undefined && !isServerName(domain)) throw new Error(`${domain} is no server name`)
  const file = join(folder, 'hearth.json')
  if (existsSync(file)) {
    if (domain !== undefined) requireSameName(file, domain)
    return file
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const config = {
    server_name: domain ?? nameHome(join(folder, 'data'), systemRandom),
    data_dir: 'data',
    listeners: [{ address: '127.0.0.1', port: port ?? (await freePort()), serves: ['client'] }],
    registration: { open: true },
  }
  // Under its name only when it is whole: half a file would stop every later start.
  writeFileSync(`${file}.new`, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return file
}

function requireSameName(file: string, domain: string): void {
  let name: unknown
  try {
    name = (JSON.parse(readFileSync(file, 'utf8')) as { server_name?: unknown }).server_name
  } catch {
    // Not readable as a configuration: the server says what is wrong with it.
    return
  }
  if (name !== domain) {
    throw new Error(
      `The home in ${file} is named ${String(name)} and keeps this name. For ${domain}, make another with --home`,
    )
  }
}

/** A port that is free now. It goes into the file, so that the page stays at one address and keeps what browsers store for it. */
async function freePort(): Promise<number> {
  for (let port = USUAL_PORT; port < USUAL_PORT + PORTS_TRIED; port += 1) {
    if ((await boundPort(port)) !== undefined) return port
  }
  const any = await boundPort(0)
  if (any === undefined) throw new Error('No port of this machine is free')
  return any
}

function boundPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined))
    })
  })
}
