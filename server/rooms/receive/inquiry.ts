import type { Peers } from '../../federation/index.ts'
import { RemoteRefusal } from '../../federation/index.ts'
import { RemoteError } from '../../net/index.ts'
import type { Json } from '../../protocol/pdu.ts'
import type { RoomsCore } from '../core.ts'
import type { OpenRoom } from '../open-room.ts'
import { isServerAllowed } from '../server-acl.ts'

/** So many requests of one inquiry are under way at once. */
const PARALLEL = 8

/**
 * Asks servers that are in a room, the likeliest first, within a time. What they answer is theirs to choose: nothing of it is
 * checked here, but that it answers.
 */
export class Inquiry {
  readonly servers: readonly string[]
  readonly #core: RoomsCore
  readonly #until: number
  readonly #signal: AbortSignal

  /**
   * @param forMs after so long no further request is begun
   * @param signal ends it at once, where nobody wants to know any more
   */
  constructor(core: RoomsCore, servers: readonly string[], forMs: number, signal: AbortSignal = NEVER) {
    this.#core = core
    this.#signal = signal
    this.servers = core.peers ? servers : []
    this.#until = core.environment.clock.now() + forMs
  }

  get isOver(): boolean {
    return this.#signal.aborted || this.#core.environment.clock.now() >= this.#until
  }

  /**
   * The first answer that will do.
   * @param isGood whether it does; without it each
   * @returns `undefined` where no server gave one
   */
  async first<T>(
    question: (peers: Peers, server: string) => Promise<T>,
    isGood: (answer: T) => boolean = () => true,
  ): Promise<{ readonly answer: T; readonly server: string } | undefined> {
    const { peers, environment } = this.#core
    if (!peers) return undefined
    for (const server of this.servers) {
      if (this.isOver) return undefined
      try {
        const answer = await orAborted(question(peers, server), this.#signal)
        if (answer === ABORTED) return undefined
        if (isGood(answer)) return { answer, server }
      } catch (error) {
        if (!(error instanceof RemoteError) && !(error instanceof RemoteRefusal)) throw error
        environment.logger.debug({ event: 'rooms.inquiry.failed', server, error: error.message })
      }
    }
    return undefined
  }

  /** Single events, as many of them as are given. @param eventIds bounded by the caller */
  async events(eventIds: readonly string[]): Promise<readonly Json[]> {
    const found: Json[] = []
    const left = eventIds.values()
    const askInTurn = async (): Promise<void> => {
      for (const eventId of left) {
        if (this.isOver) return
        const got = await this.first((peers, server) => peers.event(server, eventId))
        if (got) found.push(got.answer)
      }
    }
    await Promise.all(Array.from({ length: Math.min(PARALLEL, eventIds.length) }, askInTurn))
    return found
  }
}

const ABORTED = Symbol('aborted')
const NEVER = new AbortController().signal

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | typeof ABORTED> {
  const { promise, resolve } = Promise.withResolvers<typeof ABORTED>()
  const stop = () => resolve(ABORTED)
  signal.addEventListener('abort', stop)
  // Nobody may be left to hear of its failure.
  work.catch(() => undefined)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Other servers in a room to ask about it, the likeliest to know first: those that are named, then the ones with the most members.
 * Without those that the room's ACL shuts out.
 */
export function serversToAsk(
  core: RoomsCore,
  { head }: Pick<OpenRoom, 'head'>,
  first: readonly string[],
  limit: number,
): readonly string[] {
  const acl = head.state.get('m.room.server_acl')?.pdu.content
  const byMembers = [...head.servers].sort(([, a], [, b]) => b - a).map(([server]) => server)
  const wanted = new Set([...first, ...byMembers])
  wanted.delete(core.environment.serverName)
  const servers: string[] = []
  for (const server of wanted) {
    if (servers.length >= limit) break
    if (!acl || isServerAllowed(server, acl)) servers.push(server)
  }
  return servers
}
