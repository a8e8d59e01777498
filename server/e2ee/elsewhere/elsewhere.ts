/** End-to-end encryption with users of other servers: one object that holds its parts together. */
import { serverNameOf } from '../../../shared/matrix/identifiers.ts'
import type { FederationClient, Outbox, ReceiveEdu } from '../../federation/index.ts'
import type { Environment } from '../../observe/environment.ts'
import type { JsonObject } from '../../protocol/pdu.ts'
import type { Store } from '../../store/index.ts'
import type { DeviceIdentities } from '../device-keys.ts'
import type { DeviceLists } from '../device-list.ts'
import { AskServers } from './ask.ts'
import { Copies } from './copies.ts'
import type { Neighbours } from './neighbours.ts'
import { type MessageFromElsewhere, receiveE2eeEdus } from './receive-edus.ts'
import { Resync } from './resync.ts'
import { TellServers, withName } from './tell-servers.ts'

/** A user's devices as other servers get them. Spec: data/api/server-server/user_devices.yaml. */
export interface DevicesForServers {
  readonly streamId: number
  readonly devices: readonly {
    readonly device_id: string
    readonly keys: JsonObject
    readonly device_display_name?: string
  }[]
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
}

export class Elsewhere implements AsyncDisposable {
  readonly ask: AskServers
  readonly receive: ReceiveEdu
  readonly #environment: Environment
  readonly #identities: Pick<DeviceIdentities, 'query'>
  readonly #copies: Copies
  readonly #resync: Resync
  readonly #tell: TellServers
  readonly #neighbours: Neighbours

  constructor(deps: {
    readonly environment: Environment
    readonly store: Store
    readonly client: Pick<FederationClient, 'call'>
    readonly outbox: Pick<Outbox, 'writeEdu' | 'edusReady'>
    readonly neighbours: Neighbours
    readonly lists: DeviceLists
    readonly identities: Pick<DeviceIdentities, 'query'>
    readonly deliver: (message: MessageFromElsewhere) => Promise<void>
  }) {
    const { environment, store, lists, neighbours, identities } = deps
    this.#environment = environment
    this.#identities = identities
    this.#neighbours = neighbours
    const copies = new Copies(store, environment.clock, lists)
    const resync = new Resync({ ...deps, copies })
    this.#copies = copies
    this.#resync = resync
    this.ask = new AskServers({ ...deps, copies, resync })
    this.#tell = new TellServers({ ...deps, identities })
    this.receive = receiveE2eeEdus({ ...deps, copies, resync })
    lists.onChange(({ userId }) => {
      if (serverNameOf(userId) === environment.serverName) this.#tell.wake()
    })
  }

  /** For metrics. */
  get stats(): { readonly fetched: number; readonly waiting: number } {
    return { fetched: this.#resync.fetched, waiting: this.#resync.waiting }
  }

  /** Goes on with what a stop left undone; to be called once rooms can be asked. */
  async begin(): Promise<void> {
    this.#tell.begin()
    for (const userId of await this.#copies.listStale()) this.#resync.soon(userId)
  }

  async devicesOf(userId: string): Promise<DevicesForServers> {
    const streamId = await this.#tell.streamIdOf(userId)
    const { deviceKeys, master, selfSigning } = await this.#identities.query(null, userId, [])
    return {
      streamId,
      devices: [...deviceKeys].map(([deviceId, keys]) => ({ device_id: deviceId, ...withName(keys) })),
      ...(master && { master }),
      ...(selfSigning && { selfSigning }),
    }
  }

  /** One of our users has come into a room. */
  cameInto(userId: string, roomId: string): void {
    this.#guard(this.#tell.cameInto(userId, roomId))
  }

  /** Ends the copies of those of these users with whom no room is shared any more. */
  async parted(userIds: Iterable<string>): Promise<void> {
    const byServer = new Map<string, Set<string>>()
    for (const userId of userIds) {
      if (!(await this.#copies.has(userId))) continue
      const server = serverNameOf(userId)
      byServer.set(server, (byServer.get(server) ?? new Set()).add(userId))
    }
    for (const [server, users] of byServer) {
      const near = await this.#neighbours.near(server, users)
      for (const userId of users) if (!near.has(userId)) await this.#copies.forget(userId)
    }
  }

  /** A server that was away is there again. */
  readonly heardFrom = (server: string): void => this.#resync.heardFrom(server)

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tell[Symbol.asyncDispose]()
    await this.#resync[Symbol.asyncDispose]()
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#environment.logger.error({ event: 'e2ee.elsewhere-failed', error }))
  }
}
