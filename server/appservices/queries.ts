/**
 * Asks application services for users and aliases that are not there yet, and waits until they have made them.
 * Spec: application-service-api §Querying.
 */
import { queryRoomByAlias } from '../../shared/api/appservice/query_room.ts'
import { queryUserById } from '../../shared/api/appservice/query_user.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'
import { RemoteError } from '../net/index.ts'
import type { Clock } from '../observe/environment.ts'
import type { Appservice } from './appservice.ts'
import { type AsAnswer, type AsClient, isSuccess } from './as-client.ts'

/** The time for making a user or a room, and how often it is tried where there is no answer. */
const TIMEOUT_MS = 20_000
const ATTEMPTS = 3
const PAUSE_MS = 250

export interface Queries {
  /** @throws MatrixError 408 M_UNKNOWN where an application service did not answer, and no other said yes */
  askForAlias(alias: string): Promise<void>
  /** @throws MatrixError as `askForAlias` */
  askForUser(userId: string): Promise<void>
}

type Client = { readonly service: Appservice; readonly client: AsClient }

export function createQueries(clients: readonly Client[], clock: Clock): Queries {
  /** Questions under way: who asks the same meanwhile waits for the same answer. */
  const underWay = new Map<string, Promise<void>>()

  async function answerOf(ask: () => Promise<AsAnswer>): Promise<AsAnswer | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      if (attempt > 1) await new Promise<void>((resolve) => clock.after(PAUSE_MS, resolve))
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error
        // Our own refusal to go there, and a timeout that has cost enough, are the same a moment later.
        if (error.failure === 'refused' || error.failure === 'timeout') return undefined
      }
    }
    return undefined
  }

  async function askAll(asked: readonly Client[], ask: (client: AsClient) => Promise<AsAnswer>): Promise<void> {
    let isUnanswered = false
    for (const { client } of asked) {
      const answer = await answerOf(() => ask(client))
      if (answer && isSuccess(answer)) return
      isUnanswered ||= answer === undefined
    }
    if (isUnanswered) throw new MatrixError('M_UNKNOWN', 408, 'The application service did not answer in time')
  }

  function once(name: string, work: () => Promise<void>): Promise<void> {
    const running = underWay.get(name) ?? work().finally(() => underWay.delete(name))
    underWay.set(name, running)
    return running
  }

  return {
    askForAlias(roomAlias) {
      const asked = clients.filter(({ service }) => service.ownsAlias(roomAlias))
      const call = { endpoint: queryRoomByAlias, path: { roomAlias }, timeoutMs: TIMEOUT_MS }
      return once(roomAlias, () => askAll(asked, (client) => client.call(call)))
    },
    askForUser(userId) {
      const asked = clients.filter(({ service }) => service.ownsUser(userId) && service.userId !== userId)
      const call = { endpoint: queryUserById, path: { userId }, timeoutMs: TIMEOUT_MS }
      return once(userId, () => askAll(asked, (client) => client.call(call)))
    },
  }
}
