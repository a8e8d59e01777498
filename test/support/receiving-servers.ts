/** Servers that take in transactions, or do not, in the place of the network; what each was sent is kept. */
import type { FederationClient } from '../../server/federation/contract.ts'
import { RemoteRefusal } from '../../server/federation/remote-refusal.ts'
import { RemoteError } from '../../server/net/index.ts'
import type { JsonObject } from '../../server/protocol/pdu.ts'

export interface SentTransaction {
  readonly txnId: string
  readonly pdus: readonly JsonObject[]
  readonly edus: readonly { readonly edu_type: string; readonly content: JsonObject }[]
}

/** `dead`: cannot be reached. `silent`: takes the connection and never answers. A number: answers with that status. */
export type Mood = 'well' | 'dead' | 'silent' | 'takesInAndIsCutOff' | number

export interface ReceivingServers {
  readonly client: FederationClient
  /** What a server has confirmed, in order. */
  taken(server: string): readonly SentTransaction[]
  /** All that it was sent, tries that failed among them. */
  tried(server: string): readonly SentTransaction[]
  /** Bodies of the messages that it has confirmed. */
  bodies(server: string): readonly string[]
  set(server: string, mood: Mood): void
  /** Results for PDUs, in the place of none. */
  refuse(server: string, error: string): void
  /** How many requests are under way now, and were at most. */
  readonly underWay: { now: number; most: number }
}

export function receivingServers(onFailure: (server: string) => void = () => undefined): ReceivingServers {
  const taken = new Map<string, SentTransaction[]>()
  const tried = new Map<string, SentTransaction[]>()
  const moods = new Map<string, Mood>()
  const refusals = new Map<string, string>()
  const underWay = { now: 0, most: 0 }
  const listOf = (of: Map<string, SentTransaction[]>, server: string): SentTransaction[] => {
    const list = of.get(server) ?? []
    of.set(server, list)
    return list
  }

  async function take(server: string, sent: SentTransaction, signal: AbortSignal | undefined): Promise<JsonObject> {
    listOf(tried, server).push(sent)
    const mood = moods.get(server) ?? 'well'
    await new Promise((resolve) => setImmediate(resolve))
    if (mood === 'silent') {
      await new Promise((_, reject) => {
        const giveUp = () => reject(new RemoteError(server, 'timeout', 'given up'))
        if (signal?.aborted) giveUp()
        else signal?.addEventListener('abort', giveUp)
      })
    }
    if (typeof mood === 'number') {
      throw new RemoteRefusal(server, { status: mood, errcode: 'M_UNKNOWN', error: 'not now', body: {} })
    }
    if (mood === 'dead') {
      onFailure(server)
      throw new RemoteError(server, 'unreachable', 'connection refused')
    }
    listOf(taken, server).push(sent)
    if (mood === 'takesInAndIsCutOff') throw new RemoteError(server, 'timeout', 'its answer broke off')
    const error = refusals.get(server)
    return {
      pdus: error === undefined ? {} : Object.fromEntries(sent.pdus.map((_, i) => [`$refused${i}`, { error }])),
    }
  }

  return {
    client: {
      async call(server: string, _endpoint: unknown, call: unknown) {
        const { path, body, signal } = call as {
          path: { txnId: string }
          body: { pdus: JsonObject[]; edus?: SentTransaction['edus'] }
          signal?: AbortSignal
        }
        underWay.now += 1
        underWay.most = Math.max(underWay.most, underWay.now)
        try {
          return await take(server, { txnId: path.txnId, pdus: body.pdus, edus: body.edus ?? [] }, signal)
        } finally {
          underWay.now -= 1
        }
      },
      open: () => Promise.reject(new Error('nothing is streamed here')),
    } as unknown as FederationClient,
    taken: (server) => listOf(taken, server),
    tried: (server) => listOf(tried, server),
    bodies: (server) =>
      listOf(taken, server).flatMap(({ pdus }) =>
        pdus.flatMap(({ content }) => {
          const body = (content as JsonObject).body
          return typeof body === 'string' ? [body] : []
        }),
      ),
    set: (server, mood) => void moods.set(server, mood),
    refuse: (server, error) => void refusals.set(server, error),
    underWay,
  }
}

/** Lets everything that is not waiting for the clock run until the condition holds. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  for (let turn = 0; turn < 5_000; turn += 1) {
    if (condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`${what} never came`)
}

/** Lets everything that is not waiting for the clock run. */
export async function idle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
