import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Endpoint } from '../../shared/api/endpoint.ts'

/** One exported declaration, and the file that it stands in. */
export interface Declaration {
  readonly file: string
  readonly exportName: string
  readonly endpoint: Endpoint
}

/** Every declaration of `shared/api/<api>/`. */
export async function listDeclarations(
  api: 'client' | 'federation' | 'appservice' | 'push-gateway' | 'hearth' | 'admin' | 'oauth' | 'fallback',
): Promise<readonly Declaration[]> {
  const folder = fileURLToPath(new URL(`../../shared/api/${api}`, import.meta.url))
  if (!existsSync(folder)) return []
  const declarations: Declaration[] = []
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts'))) {
    const exports = (await import(/* @vite-ignore */ join(folder, file))) as Record<string, unknown>
    for (const [exportName, value] of Object.entries(exports)) {
      if (isEndpoint(value)) declarations.push({ file, exportName, endpoint: value })
    }
  }
  return declarations
}

function isEndpoint(value: unknown): value is Endpoint {
  return typeof value === 'object' && value !== null && 'operationId' in value && 'url' in value
}
