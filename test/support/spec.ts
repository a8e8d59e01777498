/** The specification's text, which lies beside the checkout in `../shared/spec`: its OpenAPI files as plain values. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import type { Auth } from '../../shared/api/endpoint.ts'

export const specFolder = fileURLToPath(new URL('../../../shared/spec', import.meta.url))

/** A piece of JSON Schema; only what the tests look at. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly pattern?: string
  readonly allOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly example?: unknown
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly schema: Schema
}

export interface Operation {
  readonly operationId: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** With its base path. */
  readonly url: string
  /** Relative to the specification's folder. */
  readonly file: string
  readonly auth: Auth
  readonly isRateLimited: boolean
  readonly isDeprecated: boolean
  readonly parameters: readonly Parameter[]
  /** By content type; `null` where the request has no body. */
  readonly body: {
    readonly isRequired: boolean
    readonly contentTypes: readonly string[]
    readonly schema: Schema
  } | null
  /** The JSON of the 200; `undefined` where it is none. */
  readonly reply: Schema | undefined
  /** Every status that is described. */
  readonly statuses: readonly number[]
}

interface OpenApiOperation {
  readonly operationId: string
  readonly deprecated?: boolean
  readonly security?: readonly Readonly<Record<string, unknown>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>
interface OpenApiFile {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly servers?: readonly { readonly variables?: { readonly basePath?: { readonly default?: string } } }[]
}

/** @throws Error that says what is missing, so that a test fails with it instead of passing unseen */
export function requireSpec(): void {
  if (existsSync(join(specFolder, 'README.md'))) return
  throw new Error(`The specification's text is needed in ${specFolder}, beside the checkout: see README.md`)
}

/** All operations of one API, by file and path. */
export function listOperations(
  api: 'client-server' | 'server-server' | 'application-service' | 'push-gateway',
): readonly Operation[] {
  requireSpec()
  const folder = join('data/api', api)
  return readdirSync(join(specFolder, folder))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .flatMap((name) => operationsOf(join(folder, name)))
}

function operationsOf(file: string): readonly Operation[] {
  const openApi = loadSpecFile(file) as OpenApiFile
  const basePath = openApi.servers?.[0]?.variables?.basePath?.default ?? ''
  return Object.entries(openApi.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => ['get', 'put', 'post', 'delete'].includes(method))
      .map(([method, operation]) => ({
        operationId: operation.operationId,
        method: method.toUpperCase() as Operation['method'],
        url: (basePath.replace(/\/$/, '') + path).trim(),
        file,
        auth: authOf(operation),
        isRateLimited: '429' in operation.responses,
        isDeprecated: operation.deprecated === true,
        parameters: (operation.parameters ?? []).map((parameter) => ({
          ...parameter,
          required: parameter.required === true,
        })),
        body: operation.requestBody
          ? {
              isRequired: operation.requestBody.required === true,
              contentTypes: Object.keys(operation.requestBody.content),
              schema: operation.requestBody.content['application/json']?.schema ?? {},
            }
          : null,
        reply: operation.responses['200']?.content?.['application/json']?.schema,
        statuses: Object.keys(operation.responses).map(Number).filter(Number.isInteger),
      })),
  )
}

function authOf({ security = [] }: OpenApiOperation): Operation['auth'] {
  const schemes = security.flatMap((one) => Object.keys(one))
  if (schemes.some((scheme) => scheme.startsWith('accessToken'))) {
    return security.some((one) => Object.keys(one).length === 0) ? 'accessToken?' : 'accessToken'
  }
  if (schemes.some((scheme) => scheme.startsWith('appservice'))) return 'appserviceAccessToken'
  if (schemes.includes('homeserverAccessToken')) return 'homeserverAccessToken'
  return schemes.includes('signedRequest') ? 'signedRequest' : 'none'
}

const parsed = new Map<string, unknown>()

/** A YAML file of the specification, its references put in. Where one would go on for ever, it ends with `{}`. */
export function loadSpecFile(file: string): unknown {
  return resolveRefs(parseFile(join(specFolder, file)), join(specFolder, file), [])
}

function parseFile(path: string): unknown {
  const known = parsed.get(path) ?? parse(readFileSync(path, 'utf8'), { maxAliasCount: -1 })
  parsed.set(path, known)
  return known
}

function resolveRefs(value: unknown, path: string, open: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => resolveRefs(item, path, open))
  if (typeof value !== 'object' || value === null) return value
  const { $ref, ...others } = value as { $ref?: unknown }
  const own = Object.fromEntries(
    Object.entries(others)
      // Examples have references of their own kind, and no test reads them.
      .filter(([key]) => key !== 'examples')
      .map(([key, item]) => [key, resolveRefs(item, path, open)]),
  )
  if (typeof $ref !== 'string') return own
  const [file = '', pointer = ''] = $ref.split('#')
  const target = file === '' ? path : resolve(dirname(path), file)
  const name = `${target}#${pointer}`
  if (open.includes(name)) return own
  const referred = resolveRefs(at(parseFile(target), pointer), target, [...open, name])
  return typeof referred === 'object' && referred !== null ? { ...referred, ...own } : referred
}

function at(value: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .filter((part) => part !== '')
    .reduce<unknown>((inner, part) => (inner as Record<string, unknown>)[part], value)
}
