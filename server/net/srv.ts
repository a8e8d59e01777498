import type { SrvRecord } from 'node:dns'
import { Resolver } from 'node:dns/promises'

/** For one name server; one that refuses costs no waiting. */
const TIMEOUT_MS = 2_000

/**
 * SRV records, asked of the name servers in `/etc/resolv.conf` as it is at this moment.
 * @throws Error where there are none, or no name server answers
 */
export async function systemLookupSrv(name: string): Promise<readonly SrvRecord[]> {
  return new Resolver({ timeout: TIMEOUT_MS, tries: 2 }).resolveSrv(name)
}
