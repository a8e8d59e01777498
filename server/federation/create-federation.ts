import type { Outbound } from '../net/index.ts'
import type { Environment } from '../observe/environment.ts'
import type { Json, Pdu } from '../protocol/pdu.ts'
import type { Store } from '../store/index.ts'
import { type Backoff, createBackoff } from './backoff.ts'
import { type BlockedServers, openBlockedServers } from './blocked-servers.ts'
import { createFederationClient } from './client.ts'
import type { Doorkeeper, FederationClient, Peers } from './contract.ts'
import { createDoorkeeper } from './doorkeeper.ts'
import type { OwnKeys } from './key-document.ts'
import { createKeyRing, type KeyRing } from './keys.ts'
import { createNotary, type Notary } from './notary.ts'
import { createOutbox, type OutboxService } from './outbox/outbox.ts'
import { createPeers } from './peers.ts'
import { askToSign } from './policy-server-calls.ts'
import { createResolveName, type LookupSrv } from './resolve-name.ts'
import { createWellKnownServers } from './well-known.ts'

/** The way to other servers and back. Disposing of it ends what other servers are asked at once, whoever waits for it. */
export interface Federation extends Disposable {
  readonly client: FederationClient
  readonly keys: KeyRing
  readonly peers: Peers
  readonly notary: Notary
  /** For `policy/`, whose contract it fits. */
  readonly policyServers: { sign(serverName: string, pdu: Pdu): Promise<Json> }
  readonly doorkeeper: Doorkeeper
  readonly backoff: Backoff
  readonly blockedServers: BlockedServers
  /** To be begun, and to be disposed of. */
  readonly outbox: OutboxService
}

/** Reads which servers are blocked; asks nobody anything. */
export async function createFederation(parts: {
  readonly environment: Environment
  readonly store: Store
  readonly outbound: Outbound
  readonly own: OwnKeys
  readonly lookupSrv: LookupSrv
  /** Servers whose word on the keys of others is taken. */
  readonly keyServers: readonly string[]
}): Promise<Federation> {
  const { environment, store, outbound, own, lookupSrv, keyServers } = parts
  const { clock, random, serverName } = environment
  const backoff = createBackoff({ clock, random })
  const blockedServers = await openBlockedServers({ serverName, clock, store })
  const { isBlocked } = blockedServers
  const wellKnown = createWellKnownServers({ clock, random, outbound })
  const resolveName = createResolveName({ clock, random, wellKnown, lookupSrv })
  const { signingKey } = own
  const closing = new AbortController()
  const client = createFederationClient({
    environment,
    signingKey,
    outbound,
    resolveName,
    backoff,
    isBlocked,
    closing: closing.signal,
  })
  const keys = createKeyRing({ environment, store, client, own, keyServers })
  const outbox = createOutbox({ environment, store, client, backoff, isBlocked })
  const heardFrom = (server: string): void => {
    backoff.heardFrom(server)
    outbox.heardFrom(server)
  }
  return {
    client,
    keys,
    peers: createPeers(client, keys),
    notary: createNotary({ clock, keys, own }),
    policyServers: { sign: (server, pdu) => askToSign(client, server, pdu) },
    doorkeeper: createDoorkeeper({ serverName, keys, heardFrom, isBlocked }),
    backoff,
    blockedServers,
    outbox,
    [Symbol.dispose]: () => closing.abort(),
  }
}
