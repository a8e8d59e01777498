/** Third-party networks, as the application services that lead to them describe them. Spec: application-service-api §Third-party networks. */
import {
  getProtocolMetadata,
  queryLocationByAlias,
  queryLocationByProtocol,
  queryUserByID,
  queryUserByProtocol,
} from '../../shared/api/appservice/protocols.ts'
import type { ReplyOf } from '../../shared/api/endpoint.ts'
import type { Protocol } from '../../shared/api/third-party.ts'
import type { Clock } from '../observe/environment.ts'
import type { Appservice } from './appservice.ts'
import type { AsClient } from './as-client.ts'

type Location = ReplyOf<typeof queryLocationByAlias>[number]
type ThirdPartyUser = ReplyOf<typeof queryUserByID>[number]

const TIMEOUT_MS = 10_000
/** How long a description of a protocol is passed on without asking again. */
const KEPT_MS = 5 * 60_000

/** What clients may ask. Application services that do not answer are left out. */
export interface ThirdParty {
  /** By name; those that an application service describes. */
  protocols(): Promise<ReadonlyMap<string, Protocol>>
  protocol(name: string): Promise<Protocol | undefined>
  locations(protocol: string, fields: ReadonlyMap<string, string>): Promise<readonly Location[]>
  users(protocol: string, fields: ReadonlyMap<string, string>): Promise<readonly ThirdPartyUser[]>
  locationsOfAlias(alias: string): Promise<readonly Location[]>
  usersOfId(userId: string): Promise<readonly ThirdPartyUser[]>
}

/** How a network of one application service is named among those of all. Spec: client-server definitions/protocol.yaml. */
export const instanceIdOf = (appserviceId: string, networkId: string): string => `${appserviceId}|${networkId}`

export function createThirdParty(
  clients: readonly { readonly service: Appservice; readonly client: AsClient }[],
  clock: Clock,
): ThirdParty {
  const kept = new Map<string, { readonly protocol: Protocol; readonly untilTs: number }>()
  const names = new Set(clients.flatMap(({ service }) => service.registration.protocols ?? []))
  const offering = (name: string) =>
    clients.filter(({ service }) => service.registration.protocols?.includes(name) === true)

  async function describe(name: string): Promise<Protocol | undefined> {
    const known = kept.get(name)
    if (known && known.untilTs > clock.now()) return known.protocol
    const described = await Promise.all(
      offering(name).map(async ({ service, client }) => {
        const endpoint = getProtocolMetadata
        const protocol = await client.ask({ endpoint, path: { protocol: name }, timeoutMs: TIMEOUT_MS })
        return protocol && withInstanceIds(protocol, service.id)
      }),
    )
    const [first, ...others] = described.filter((protocol) => protocol !== undefined)
    if (!first) return undefined
    const protocol = { ...first, instances: [first, ...others].flatMap(({ instances }) => instances) }
    kept.set(name, { protocol, untilTs: clock.now() + KEPT_MS })
    return protocol
  }

  /** What all of them answer, one list after the other. */
  async function gather<T>(
    asked: typeof clients,
    ask: (client: AsClient) => Promise<readonly T[] | undefined>,
  ): Promise<readonly T[]> {
    return (await Promise.all(asked.map(({ client }) => ask(client)))).flatMap((list) => list ?? [])
  }

  return {
    async protocols() {
      const all = await Promise.all([...names].map(async (name) => [name, await describe(name)] as const))
      const found = new Map<string, Protocol>()
      for (const [name, protocol] of all) if (protocol) found.set(name, protocol)
      return found
    },
    protocol: async (name) => (names.has(name) ? describe(name) : undefined),
    locations: (protocol, fields) =>
      gather(offering(protocol), (client) =>
        client.ask({ endpoint: queryLocationByProtocol, path: { protocol }, query: fields, timeoutMs: TIMEOUT_MS }),
      ),
    users: (protocol, fields) =>
      gather(offering(protocol), (client) =>
        client.ask({ endpoint: queryUserByProtocol, path: { protocol }, query: fields, timeoutMs: TIMEOUT_MS }),
      ),
    locationsOfAlias: (alias) =>
      gather(
        clients.filter(({ service }) => service.ownsAlias(alias)),
        (client) => client.ask({ endpoint: queryLocationByAlias, query: { alias }, timeoutMs: TIMEOUT_MS }),
      ),
    usersOfId: (userid) =>
      gather(
        clients.filter(({ service }) => service.ownsUser(userid)),
        (client) => client.ask({ endpoint: queryUserByID, query: { userid }, timeoutMs: TIMEOUT_MS }),
      ),
  }
}

function withInstanceIds(protocol: Protocol, appserviceId: string): Protocol {
  return {
    ...protocol,
    instances: protocol.instances.map((instance) => ({
      ...instance,
      instance_id: instanceIdOf(appserviceId, instance.network_id),
    })),
  }
}
