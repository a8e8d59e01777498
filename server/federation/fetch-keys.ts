/** Asking for keys: the server itself, or a notary. Spec: server-server-api §Retrieving server keys. */

import { bulkPerspectivesKeyQuery } from '../../shared/api/federation/keys_query.ts'
import { getServerKey } from '../../shared/api/federation/keys_server.ts'
import { RemoteError } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import { isJsonObject } from '../protocol/json.ts'
import type { Json } from '../protocol/pdu.ts'
import { checkJsonSignature } from '../protocol/signing.ts'
import type { FederationClient } from './contract.ts'
import { type KeyDocument, readKeyDocument } from './key-document.ts'
import { RemoteRefusal } from './remote-refusal.ts'

const LIMITS = { timeoutMs: 10_000, maxBytes: 16 * 1024, evenIfBackedOff: true } as const
const NOTARY_LIMITS = { timeoutMs: 10_000, maxBytes: 2 * 1024 * 1024 } as const
/** The most servers that one question to a notary is about, and how many questions there are. */
const MAX_ASKED = 100
const MAX_QUESTIONS = 20

/**
 * A server's own document.
 * @returns `undefined` where it could not be had; why is logged
 */
export async function fetchOwnDocument(
  { clock, logger }: Environment,
  client: FederationClient,
  serverName: string,
): Promise<KeyDocument | undefined> {
  try {
    const reply = await client.call(serverName, getServerKey, { path: { keyId: '' }, ...LIMITS })
    const document = readKeyDocument(reply as unknown as Json, serverName, clock.now())
    if (typeof document !== 'string') return document
    logger.info({ event: 'keys.refused', serverName, why: document })
  } catch (error) {
    if (!(error instanceof RemoteError) && !(error instanceof RemoteRefusal)) throw error
    logger.debug({ event: 'keys.not-had', serverName, why: error.message })
  }
  return undefined
}

/**
 * Documents of several servers as a notary has them.
 * @param notaryKeyOf the notary's public keys; without it its signature is not asked for
 * @returns those that are good; newest last where the notary gave several of one server
 */
export async function queryNotary(
  environment: Environment,
  client: FederationClient,
  query: {
    readonly notary: string
    readonly servers: readonly { readonly serverName: string; readonly keyIds: readonly string[] }[]
    readonly notaryKeyOf?: (keyId: string) => string | undefined
  },
): Promise<readonly KeyDocument[]> {
  const documents: KeyDocument[] = []
  for (let i = 0; i < MAX_QUESTIONS && i * MAX_ASKED < query.servers.length; i += 1) {
    const servers = query.servers.slice(i * MAX_ASKED, (i + 1) * MAX_ASKED)
    const answered = await askNotary(environment, client, { ...query, servers })
    if (!answered) break
    documents.push(...answered)
  }
  return documents
}

/** @returns `undefined` where it does not answer as it should */
async function askNotary(
  { clock, logger }: Environment,
  client: FederationClient,
  { notary, servers: asked, notaryKeyOf }: Parameters<typeof queryNotary>[2],
): Promise<readonly KeyDocument[] | undefined> {
  const wished = Object.fromEntries(
    asked.map(({ serverName, keyIds }) => [serverName, Object.fromEntries(keyIds.map((keyId) => [keyId, {}]))]),
  )
  try {
    const reply = await client.call(notary, bulkPerspectivesKeyQuery, {
      path: {},
      body: { server_keys: wished },
      ...NOTARY_LIMITS,
    })
    const names = new Set(asked.map(({ serverName }) => serverName))
    return (reply.server_keys as unknown as readonly Json[])
      .slice(0, MAX_ASKED * 4)
      .flatMap((json) => {
        const name = isJsonObject(json) ? json.server_name : undefined
        if (!isJsonObject(json) || typeof name !== 'string' || !names.has(name)) return []
        if (notaryKeyOf && !checkJsonSignature({ object: json, entity: notary, keyOf: notaryKeyOf }).ok) return []
        const document = readKeyDocument(json, name, clock.now())
        return typeof document === 'string' ? [] : [document]
      })
      .sort((a, b) => a.validUntilTs - b.validUntilTs)
  } catch (error) {
    if (!(error instanceof RemoteError) && !(error instanceof RemoteRefusal)) throw error
    logger.info({ event: 'keys.notary-failed', notary, why: error.message })
    return undefined
  }
}
