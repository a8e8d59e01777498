/**
 * The slice `rooms/` of several servers, each asking the others by calling them: what goes over the wire is JSON text, nothing
 * else is simulated. A test may put itself between two of them (`intercept`) or part them (`cut`).
 */

import { type Peers, RemoteRefusal } from '../../server/federation/index.ts'
import { RemoteError } from '../../server/net/index.ts'
import type { VerifyKey } from '../../server/protocol/event-signing.ts'
import { parseJson } from '../../server/protocol/json.ts'
import type { Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { makeSigningKey, type SigningKey } from '../../server/protocol/signing-key.ts'
import { Exclusive } from '../../server/store/exclusive.ts'
import type { Store } from '../../server/store/index.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'
import { manualClock } from './manual-clock.ts'
import { startTestRooms, type TestRooms } from './test-rooms.ts'

/** Changes what a server is answered; `this` server asks, `server` is asked. */
type Interceptor = {
  readonly [Method in keyof Peers]?: (
    answer: Awaited<ReturnType<Peers[Method]>>,
    ...asked: Parameters<Peers[Method]>
  ) => Awaited<ReturnType<Peers[Method]>> | Promise<Awaited<ReturnType<Peers[Method]>>>
}

export interface LinkedServer {
  readonly name: string
  readonly key: SigningKey
  /** The slice as it is now: another one after `restart`. */
  readonly test: TestRooms
  readonly rooms: TestRooms['rooms']
  /** What it asked others, newest last: `method server`. */
  readonly asked: readonly string[]
  intercept(interceptor: Interceptor): void
  /** @param options.abruptly what is under way is left where it is, as by `kill -9` */
  restart(options?: { readonly abruptly: boolean }): Promise<void>
}

export interface LinkedServers extends AsyncDisposable {
  /** In the order of their names. */
  readonly servers: readonly LinkedServer[]
  /** A server that only has a key: what it signs is known to be its. */
  readonly keys: Map<string, SigningKey>
  /** A server that is gone: what it signed is known to be its only where others are trusted to vouch for that. */
  readonly vouchedKeys: Map<string, SigningKey>
  cut(one: LinkedServer, other: LinkedServer): void
  heal(one: LinkedServer, other: LinkedServer): void
  /** Hands the events of a room that one server has to another, as its queue would: those since the other came in. */
  deliver(from: LinkedServer, to: LinkedServer, roomId: string): Promise<void>
}

export async function startLinkedRooms(
  names: readonly string[],
  options: { readonly defaultRoomVersion?: string } = {},
): Promise<LinkedServers> {
  const clock = manualClock()
  const keys = new Map<string, SigningKey>()
  const vouchedKeys = new Map<string, SigningKey>()
  const cuts = new Set<string>()
  const linkOf = (one: string, other: string): string => [one, other].sort().join(' ')
  const servers: (LinkedServer & { current: TestRooms })[] = []

  async function ask<T>(asker: string, server: string, work: (target: TestRooms['rooms']) => Promise<T>): Promise<T> {
    const target = servers.find(({ name }) => name === server)
    if (!target || cuts.has(linkOf(asker, server))) throw new RemoteError(server, 'unreachable', 'it is cut off')
    try {
      return await work(target.current.rooms)
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      const { status, errcode, message } = error
      throw new RemoteRefusal(server, { status, errcode, error: message, body: error.toBody() as JsonObject })
    }
  }

  function peersOf(asker: string, asked: string[], interceptors: Interceptor[]): Peers {
    const bare: Peers = {
      keysFor:
        async (_pdus, _rules, vouchers = []) =>
        (serverName, keyId): VerifyKey | undefined => {
          const key = keys.get(serverName) ?? (vouchers.length > 0 ? vouchedKeys.get(serverName) : undefined)
          return key?.keyId === keyId ? { publicKey: key.publicKey, validUntilTs: Number.MAX_SAFE_INTEGER } : undefined
        },
      event: (server, eventId) =>
        ask(asker, server, async ({ forServers }) => parseJson(await forServers.findEvent(asker, eventId))),
      missingEvents: (server, wish) =>
        ask(asker, server, async ({ forServers }) =>
          (await forServers.listMissingEvents({ server: asker, ...wish })).map((json) => parseJson(json)),
        ),
      backfill: (server, wish) =>
        ask(asker, server, async ({ forServers }) =>
          (await forServers.backfill({ server: asker, ...wish })).map((json) => parseJson(json)),
        ),
      stateIds: (server, roomId, eventId) =>
        ask(asker, server, async ({ forServers }) => {
          const answer = await whole(await forServers.readStateIdsAt({ server: asker, roomId, eventId }))
          return { state: answer.pdu_ids as string[], authChain: answer.auth_chain_ids as string[] }
        }),
      state: (server, roomId, eventId) =>
        ask(asker, server, async ({ forServers }) => {
          const answer = await whole(await forServers.readStateAt({ server: asker, roomId, eventId }))
          return { state: answer.pdus as Json[], authChain: answer.auth_chain as Json[] }
        }),
      eventAuth: (server, roomId, eventId) =>
        ask(asker, server, async ({ forServers }) => {
          const answer = await whole(await forServers.readEventAuth({ server: asker, roomId, eventId }))
          return answer.auth_chain as Json[]
        }),
      eventByTimestamp: (server, { roomId, ts, direction: to }) =>
        ask(asker, server, async ({ forServers }) => {
          const direction = to === 'f' ? 'forward' : 'backward'
          const found = await forServers.findByTime({ server: asker, roomId, ts, direction })
          return { eventId: found.eventId, originServerTs: found.ts }
        }),
      makeMembership: (server, { kind, roomId, userId, versions }) =>
        ask(asker, server, async ({ forServers }) => {
          const membership = kind
          const draft = await forServers.draftMembership({ server: asker, roomId, userId, membership, versions })
          return overWire(draft)
        }),
      sendJoin: (server, { roomId, eventId, pdu, omitMembers }) =>
        ask(asker, server, async ({ forServers }) => {
          const pieces = await forServers.takeJoin({ server: asker, roomId, eventId, json: jsonOf(pdu) }, omitMembers)
          const answer = await whole(pieces)
          return {
            state: answer.state as Json[],
            authChain: answer.auth_chain as Json[],
            event: answer.event,
            membersOmitted: answer.members_omitted === true,
            serversInRoom: (answer.servers_in_room ?? []) as string[],
          }
        }),
      sendLeave: (server, { roomId, eventId, pdu }) =>
        ask(asker, server, ({ forServers }) =>
          forServers.takeLeave({ server: asker, roomId, eventId, json: jsonOf(pdu) }),
        ),
      sendKnock: (server, { roomId, eventId, pdu }) =>
        ask(asker, server, async ({ forServers }) =>
          (await forServers.takeKnock({ server: asker, roomId, eventId, json: jsonOf(pdu) })).map((json) =>
            parseJson(json),
          ),
        ),
      sendInvite: (server, { pdu, ...invite }) =>
        ask(asker, server, ({ forServers }) =>
          forServers.receiveInvite({ ...overWire(invite), event: jsonOf(pdu), origin: asker }),
        ),
      exchangeThirdPartyInvite: (server, roomId, event) =>
        ask(asker, server, ({ forServers }) => forServers.exchangeAddressInvite({ roomId, event, origin: asker })),
      resolveAlias: (alias) =>
        ask(asker, alias.slice(alias.indexOf(':') + 1), async ({ forServers }) => {
          const found = await forServers.queryAlias(alias)
          return { roomId: found.roomId, servers: found.servers }
        }),
      hierarchy: async (server) => {
        throw new RemoteError(server, 'unreachable', 'the test does not ask for it')
      },
      publicRooms: async (server) => {
        throw new RemoteError(server, 'unreachable', 'the test does not ask for it')
      },
    }
    return new Proxy(bare, {
      get(target, method: keyof Peers) {
        if (method === 'keysFor') return target.keysFor
        return async (...args: unknown[]) => {
          asked.push(`${method} ${String(args[0])}`)
          const work = target[method] as (...given: unknown[]) => Promise<unknown>
          let answer = await work(...args)
          for (const interceptor of interceptors) {
            const change = interceptor[method] as ((answer: unknown, ...given: unknown[]) => unknown) | undefined
            if (change) answer = await change(answer, ...args)
          }
          return answer
        }
      },
    })
  }

  for (const [index, name] of names.entries()) {
    const seed = index + 2
    const asked: string[] = []
    const interceptors: Interceptor[] = []
    const peers = peersOf(name, asked, interceptors)
    const first = await startTestRooms({ ...options, serverName: name, clock, seed, peers })
    keys.set(name, first.signingKey)
    servers.push({
      name,
      key: first.signingKey,
      current: first,
      asked,
      get test() {
        return this.current
      },
      get rooms() {
        return this.current.rooms
      },
      intercept: (interceptor) => void interceptors.push(interceptor),
      async restart({ abruptly } = { abruptly: false }) {
        this.current = abruptly
          ? await startTestRooms({
              ...options,
              serverName: name,
              clock,
              seed,
              peers,
              store: afterCrash(this.current.store),
            })
          : await this.current.reopen()
        await this.current.rooms.resume()
      },
    })
  }
  return {
    servers,
    keys,
    vouchedKeys,
    cut: (one, other) => void cuts.add(linkOf(one.name, other.name)),
    heal: (one, other) => void cuts.delete(linkOf(one.name, other.name)),
    async deliver(from, to, roomId) {
      using view = await from.rooms.open(roomId)
      const events = await view.timeline({ limit: 1_000, direction: 'forward' })
      const came = events.findIndex(
        ({ pdu }) => pdu.state_key?.endsWith(`:${to.name}`) && pdu.content.membership === 'join',
      )
      for (const event of events.slice(came + 1)) {
        await to.rooms.receive({ roomId, json: jsonOf(event.pdu), from: from.name })
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { current } of servers) await current[Symbol.asyncDispose]()
    },
  }
}

/** The same data for another process: nothing that the first one has begun there goes on, or is in the way. */
function afterCrash(store: Store): Store {
  const running = new Exclusive()
  return new Proxy(store, {
    get(target, key: keyof Store) {
      if (key === 'exclusive') return running.run.bind(running)
      const value = target[key]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const jsonOf = (pdu: Pdu): Json => overWire(pdu as unknown as Json)
const overWire = <T>(value: T): T => parseJson(JSON.stringify(value)) as T

async function whole(pieces: AsyncIterable<string>): Promise<Record<string, Json>> {
  let text = ''
  for await (const piece of pieces) text += piece
  return parseJson(text) as Record<string, Json>
}

/** A further server's key, for what a test makes others sign. */
export const strangersKey = (seed: number): SigningKey => makeSigningKey(Buffer.alloc(32, seed), 'stranger')
