/**
 * A bridge in use, made by others: heisenbridge between Hearth and an IRC server. Runs where both are installed: heisenbridge as
 * `.cache/heisenbridge/bin/heisenbridge` below the project's root, or where `HEARTH_HEISENBRIDGE` says, and ngircd on the path.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { join, send } from '../support/room-calls.ts'
import { type Person, startTestServer, type TestServer } from '../support/test-server.ts'
import { freePort, hasNgircd, IrcUser, startNgircd, stopped } from './irc.ts'

const V3 = '/_matrix/client/v3'
const PATIENCE_MS = 45_000
const CHANNEL = '#hearth'

const program =
  process.env.HEARTH_HEISENBRIDGE ??
  fileURLToPath(new URL('../../.cache/heisenbridge/bin/heisenbridge', import.meta.url))
const isHere = spawnSync(program, ['--version'], { timeout: 60_000 }).status === 0 && hasNgircd()

interface SyncReply {
  readonly next_batch: string
  readonly rooms?: {
    readonly invite?: Record<string, { readonly invite_state: { readonly events: readonly Told[] } }>
    readonly join?: Record<string, { readonly timeline: { readonly events: readonly Told[] } }>
  }
}
interface Told {
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: Record<string, unknown>
}

/** Someone with a client that syncs. */
class Watcher {
  readonly person: Person
  readonly invites = new Map<string, readonly Told[]>()
  readonly said: (Told & { readonly roomId: string })[] = []
  #since: string | undefined

  constructor(person: Person) {
    this.person = person
  }

  /** Resolves with what is found, looked for after each sync. */
  async until<T>(what: string, find: () => T | undefined): Promise<T> {
    const giveUpTs = Date.now() + PATIENCE_MS
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (Date.now() > giveUpTs) throw new Error(`no ${what}; there was: ${JSON.stringify(this.said)}`)
      await this.#sync()
    }
  }

  /** The next invite to a room that is none of these, accepted. */
  async accept(others: readonly string[]): Promise<string> {
    const roomId = await this.until('invite', () => [...this.invites.keys()].find((id) => !others.includes(id)))
    expect(await join(this.person, roomId)).toMatchObject({ status: 200 })
    return roomId
  }

  heard(roomId: string, pattern: RegExp): Promise<Told> {
    return this.until(`message like ${pattern}`, () =>
      this.said.find((event) => event.roomId === roomId && pattern.test(String(event.content.body))),
    )
  }

  async #sync(): Promise<void> {
    const query = { timeout: '5000', ...(this.#since !== undefined && { since: this.#since }) }
    const { body } = await this.person.api.get<SyncReply>(`${V3}/sync`, query)
    this.#since = body.next_batch
    for (const [roomId, { invite_state }] of Object.entries(body.rooms?.invite ?? {})) {
      this.invites.set(roomId, invite_state.events)
    }
    for (const [roomId, { timeline }] of Object.entries(body.rooms?.join ?? {})) {
      for (const event of timeline.events) if (event.sender !== this.person.userId) this.said.push({ ...event, roomId })
    }
  }
}

describe.skipIf(!isHere && !process.env.CI)('heisenbridge, with ngircd behind it', () => {
  const things = new AsyncDisposableStack()
  let server: TestServer
  let bridge: ChildProcess
  let irc: Awaited<ReturnType<typeof startNgircd>>
  let alice: Watcher
  let log = ''

  beforeAll(async () => {
    const folder = await mkdtemp(joinPath(tmpdir(), 'hearth-bridge-'))
    things.defer(() => rm(folder, { recursive: true, force: true }))
    const services = joinPath(folder, 'services')
    await mkdir(services)
    const registration = joinPath(services, 'heisenbridge.yaml')
    const port = String(await freePort())
    const made = spawnSync(program, ['-c', registration, '--generate', '-p', port, '-l', '127.0.0.1'])
    if (made.status !== 0) throw new Error(`no registration: ${made.stderr.toString()}`)

    server = things.use(await startTestServer({ config: { application_services_dir: services } }))
    irc = things.use(await startNgircd(folder))
    alice = new Watcher(await server.register('alice'))
    bridge = spawn(
      program,
      ['-v', '-c', registration, '-p', port, '-l', '127.0.0.1', '-o', alice.person.userId, server.baseUrl],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    things.defer(() => stopped(bridge))
    for (const output of [bridge.stdout, bridge.stderr]) {
      output?.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
    }
  }, 90_000)
  afterAll(async () => {
    await things.disposeAsync()
  })

  it(
    'carries messages from Matrix to IRC and back, and its people between both',
    async () => {
      using bob = await IrcUser.join(irc.port, 'bob', CHANNEL)
      // The bridge asks its owner into a room of commands by itself.
      const control = await alice.accept([])
      await alice.heard(control, /ADDNETWORK - /)
      await send(alice.person, control, 'addnetwork hearthnet')
      await send(alice.person, control, `addserver hearthnet 127.0.0.1 ${irc.port}`)
      await send(alice.person, control, 'open hearthnet')
      const network = await alice.accept([control])
      await send(alice.person, network, 'nick alice')
      await send(alice.person, network, 'connect')
      await alice.heard(network, /Welcome to the Internet Relay Network/)
      await send(alice.person, network, `join ${CHANNEL}`)
      const channel = await alice.accept([control, network])
      await bob.until(/:alice!\S+ JOIN/)

      await send(alice.person, channel, 'hello from Matrix')
      await bob.until(/:alice!\S+ PRIVMSG #hearth :hello from Matrix/)

      bob.say(`PRIVMSG ${CHANNEL} :hello from IRC`)
      const heard = await alice.heard(channel, /hello from IRC/)
      expect(heard).toMatchObject({ type: 'm.room.message', sender: `@irc_hearthnet_bob:${server.serverName}` })
      expect(server.complaints).toEqual([])
      expect(log).not.toContain('Traceback')
    },
    2 * PATIENCE_MS,
  )
})
