/** Keys of other servers, signed by us, for whoever asks. Spec: server-server-api §Querying Keys Through Another Server. */
import { badJson } from '../../shared/matrix/errors.ts'
import { isServerName } from '../../shared/matrix/server-name.ts'
import type { Clock } from '../observe/environment.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import { signJson } from '../protocol/signing.ts'
import type { OwnKeys } from './key-document.ts'
import type { KeyRing } from './keys.ts'

export interface Notary {
  /**
   * Documents of servers, one of each that can be had, with our signature.
   * @param wishes until when each is to be good: now, where it is not said
   * @throws MatrixError 400 M_BAD_JSON for more servers than anybody needs at a time
   */
  query(
    wishes: readonly { readonly serverName: string; readonly goodUntilTs: number | undefined }[],
  ): Promise<readonly JsonObject[]>
}

const MAX_SERVERS = 500
/** Servers that are asked on account of one query; of the others we give what is kept. */
const MAX_FETCHES = 10

export function createNotary({ clock, keys, own }: { clock: Clock; keys: KeyRing; own: OwnKeys }): Notary {
  return {
    async query(wishes) {
      if (wishes.length > MAX_SERVERS) throw badJson(`At most ${MAX_SERVERS} servers can be asked for at a time`)
      const now = clock.now()
      let fetches = 0
      const documents = await Promise.all(
        wishes.map(async ({ serverName, goodUntilTs }) => {
          if (serverName === own.serverName) return keys.ownDocument()
          if (!isServerName(serverName)) return undefined
          const neededTs = Math.max(now, goodUntilTs ?? now)
          const kept = await keys.documentOf(serverName, neededTs, false)
          if (kept && typeof kept.valid_until_ts === 'number' && kept.valid_until_ts >= neededTs) return kept
          fetches += 1
          return fetches > MAX_FETCHES ? kept : keys.documentOf(serverName, neededTs, true)
        }),
      )
      return documents
        .filter((document) => document !== undefined)
        .map((document) =>
          document.server_name === own.serverName ? document : signJson(document, own.serverName, own.signingKey),
        )
    },
  }
}
