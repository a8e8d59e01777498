/** Rooms, an outbox that sends what they owe, and servers of the test's own in the place of the network. */
import { type Backoff, createBackoff } from '../../../server/federation/backoff.ts'
import type { OwedPdus } from '../../../server/federation/index.ts'
import { createOutbox, type OutboxService } from '../../../server/federation/outbox/outbox.ts'
import type { LogFields } from '../../../server/observe/environment.ts'
import { idle, type ReceivingServers, receivingServers, until } from '../../support/receiving-servers.ts'
import { peersOf, remoteKey, remoteServer } from '../../support/remote-server.ts'
import { startTestRooms, type TestRooms } from '../../support/test-rooms.ts'

const key = remoteKey(3)

export class OutboxRig implements AsyncDisposable {
  t: TestRooms
  outbox!: OutboxService
  backoff!: Backoff
  /** What the outbox has logged. */
  readonly logged: LogFields[] = []
  readonly servers: ReceivingServers
  readonly blocked = new Set<string>()
  #endSubscription = (): void => undefined
  #said = 0

  private constructor(t: TestRooms) {
    this.t = t
    this.servers = receivingServers((server) => this.backoff.failed(server))
  }

  /** @param names servers that users may join from */
  static async start(...names: readonly string[]): Promise<OutboxRig> {
    const rig = new OutboxRig(await startTestRooms({ peers: peersOf(names.map((name) => ({ name, key }))) }))
    await rig.#startOutbox(rig.t.rooms.owed)
    return rig
  }

  /** @param owed in the place of what rooms owe */
  static async startOwing(owed: OwedPdus): Promise<OutboxRig> {
    const rig = new OutboxRig(await startTestRooms())
    await rig.#startOutbox(owed)
    return rig
  }

  async #startOutbox(owed: OwedPdus): Promise<void> {
    const { environment, store, rooms } = this.t
    this.backoff = createBackoff(environment)
    const note = (fields: LogFields) => void this.logged.push(fields)
    this.outbox = createOutbox({
      environment: { ...environment, logger: { debug: note, info: note, warn: note, error: note } },
      store,
      client: this.servers.client,
      backoff: this.backoff,
      isBlocked: (name) => this.blocked.has(name),
    })
    this.#endSubscription = rooms.owed.onOwed((names, position) => this.outbox.pdusReady(names, position))
    await this.outbox.begin(owed)
  }

  /** From now on the outbox hears of nothing, as if it were killed between a commit and its announcement. */
  deafen(): void {
    this.#endSubscription()
  }

  /** As after `kill -9`: whatever the outbox has not written is lost. */
  async restartAfterKill(): Promise<void> {
    this.deafen()
    const { store } = this.t
    const { commit } = store
    Object.assign(store, { commit: () => Promise.reject(new Error('killed')) })
    await this.outbox[Symbol.asyncDispose]()
    Object.assign(store, { commit })
    this.t = await this.t.reopen()
    await this.#startOutbox(this.t.rooms.owed)
  }

  /** A stop that is announced. */
  async restart(): Promise<void> {
    await this.outbox[Symbol.asyncDispose]()
    this.deafen()
    this.t = await this.t.reopen()
    await this.#startOutbox(this.t.rooms.owed)
  }

  async roomWith(...names: readonly string[]): Promise<string> {
    const roomId = await this.t.rooms.createRoom({ creator: this.t.user('alice').userId, preset: 'public_chat' })
    for (const name of names) await this.joinFrom(name, roomId)
    return roomId
  }

  /** `@bob` of the server joins. */
  async joinFrom(name: string, roomId: string): Promise<void> {
    const remote = remoteServer(this.t.rooms, name, key)
    using view = await this.t.rooms.open(roomId)
    const newest = (await view.timeline({ limit: 1, direction: 'backward' }))[0]?.eventId ?? ''
    await remote.join(roomId, remote.user('bob'), [newest])
  }

  say(roomId: string, body: string): Promise<string> {
    this.#said += 1
    const content = { msgtype: 'm.text', body }
    const requester = this.t.user('alice')
    return this.t.rooms.send({ roomId, requester, txnId: `t${this.#said}`, type: 'm.room.message', content })
  }

  async sayMany(roomId: string, count: number, prefix = 'm'): Promise<readonly string[]> {
    const bodies = Array.from({ length: count }, (_, i) => `${prefix}${i}`)
    for (const body of bodies) await this.say(roomId, body)
    return bodies
  }

  async writeEdu(destination: string, n: number, coalesce?: string): Promise<void> {
    const edu = { edu_type: 'm.direct_to_device', content: { n } }
    const op = this.outbox.writeEdu(destination, edu, coalesce)
    await this.t.store.commit(() => [op])
    this.outbox.edusReady([destination])
  }

  /** The `n` of all EDUs that a server has confirmed. */
  numbers(server: string): readonly unknown[] {
    return this.servers.taken(server).flatMap(({ edus }) => edus.map(({ content }) => content.n))
  }

  had(server: string, ...bodies: readonly string[]): Promise<void> {
    const hasAll = () => bodies.every((body) => this.servers.bodies(server).includes(body))
    return until(hasAll, `${bodies.at(-1)} at ${server}`)
  }

  isFailing(server: string): Promise<void> {
    return until(() => this.outbox.list().some((one) => one.server === server && one.retryTs !== null), 'a failed try')
  }

  /** Moves the clock on in steps, so that what waits for it can run in between. */
  async pass(ms: number, steps = 1): Promise<void> {
    for (let i = 0; i < steps; i += 1) {
      this.t.clock.advance(ms / steps)
      await idle()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.outbox[Symbol.asyncDispose]()
    await this.t[Symbol.asyncDispose]()
  }
}
