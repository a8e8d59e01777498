/** An IRC server (Debian's ngircd) and a person on it, for tests of bridges. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'

const PATIENCE_MS = 30_000

/** `/usr/sbin` is not on everybody's path. */
const path = `${process.env.PATH}:/usr/sbin`

export const hasNgircd = (): boolean => spawnSync('ngircd', ['--version'], { env: { PATH: path } }).status === 0

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** @param folder for its configuration */
export async function startNgircd(folder: string): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort()
  const file = join(folder, 'ngircd.conf')
  const { username } = userInfo()
  const config = [
    '[Global]',
    'Name = irc.hearth.test',
    'Info = A test',
    'Listen = 127.0.0.1',
    `Ports = ${port}`,
    `ServerUID = ${username}`,
    'MotdPhrase = welcome',
    '[Limits]',
    'MaxConnectionsIP = 0',
    '[Options]',
    'DNS = no',
    'Ident = no',
    'PAM = no',
  ]
  await writeFile(file, `${config.join('\n')}\n`)
  const child = spawn('ngircd', ['--nodaemon', '--config', file], { env: { PATH: path }, stdio: 'ignore' })
  return { port, [Symbol.asyncDispose]: () => stopped(child) }
}

/** Ends a process of ours and waits until it is gone. */
export async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Somebody with an IRC client. */
export class IrcUser implements Disposable {
  readonly #socket: Socket
  readonly #watchers = new Set<() => void>()
  #text = ''

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text
      for (const [, token] of text.matchAll(/^PING (.*)$/gm)) this.say(`PONG ${token}`)
      for (const watcher of this.#watchers) watcher()
    })
  }

  static async join(port: number, nick: string, channel: string): Promise<IrcUser> {
    const user = new IrcUser(await connected(port))
    user.say(`NICK ${nick}`)
    user.say(`USER ${nick} 0 * :${nick}`)
    await user.until(/ 001 /)
    user.say(`JOIN ${channel}`)
    await user.until(/ 366 /)
    return user
  }

  say(line: string): void {
    this.#socket.write(`${line}\r\n`)
  }

  /** Resolves when something like this has come. */
  until(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(check)
        reject(new Error(`nothing like ${pattern} came, only: ${this.#text}`))
      }, PATIENCE_MS)
      const check = (): void => {
        if (!pattern.test(this.#text)) return
        clearTimeout(timer)
        this.#watchers.delete(check)
        resolve()
      }
      this.#watchers.add(check)
      check()
    })
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

/** Connects, as soon as the server listens. */
async function connected(port: number): Promise<Socket> {
  const giveUpTs = Date.now() + PATIENCE_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (Date.now() > giveUpTs) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
