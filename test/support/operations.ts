/** What a server may be asked for, for tests that go to every endpoint. */
import type { Endpoint } from '../../shared/api/endpoint.ts'
import { listDeclarations } from '../contract/declarations.ts'
import { listOperations, type Operation, type Schema } from './spec.ts'
import type { TestServer } from './test-server.ts'

/** The operations of the specification's OpenAPI files, and those that only we declare. */
export async function listAllOperations(): Promise<readonly Operation[]> {
  const declarations = await Promise.all(
    (['client', 'push-gateway', 'hearth', 'admin'] as const).map((api) => listDeclarations(api)),
  )
  const own = declarations
    .flat()
    .filter(({ endpoint }) => endpoint.unstable !== undefined)
    .map(({ file, endpoint }) => operationOf(file, endpoint))
  return [...listOperations('client-server'), ...listOperations('push-gateway'), ...own]
}

function operationOf(file: string, endpoint: Endpoint): Operation {
  return {
    ...endpoint,
    file,
    auth: endpoint.auth,
    isRateLimited: endpoint.rateLimited,
    isDeprecated: false,
    parameters: (['path', 'query'] as const).flatMap((place) =>
      Object.entries((endpoint[place] as Schema).properties ?? {}).map(([name, schema]) => ({
        name,
        in: place,
        required: (endpoint[place] as Schema).required?.includes(name) ?? false,
        schema,
      })),
    ),
    body:
      endpoint.body === null || endpoint.body === 'stream'
        ? null
        : {
            isRequired: endpoint.bodyRequired !== false,
            contentTypes: ['application/json'],
            schema: endpoint.body as Schema,
          },
    reply: undefined,
    statuses: [],
  }
}

/** Whether anybody answers there; asked for with a token that opens nothing, so that nothing happens. */
export async function isMounted(server: TestServer, operation: Operation): Promise<boolean> {
  const url = operation.url.replace(/\{\w+\}/g, 'x')
  const response = await server.api('no such token').fetch(url, { method: operation.method, redirect: 'manual' })
  const text = await response.text()
  return !((response.status === 404 || response.status === 405) && text.includes('M_UNRECOGNIZED'))
}
