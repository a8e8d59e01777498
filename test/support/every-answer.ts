/** What holds of every answer, whichever test asked for it: `watch-answers.ts` looks at all that come from a test's servers. */
import type { TSchema } from 'typebox'
import { PathTree, urlsOf } from '../../server/http/path-tree.ts'
import { Check } from '../../server/http/validate.ts'
import type { Endpoint } from '../../shared/api/endpoint.ts'
import { listDeclarations } from '../contract/declarations.ts'
import type { Schema } from './spec.ts'

/** What clients are answered; application services answer what `appservice` declares. */
const served = ['client', 'hearth', 'admin', 'oauth', 'push-gateway', 'fallback'] as const

interface Declared {
  readonly endpoint: Endpoint
  readonly reply: Check | null
}

const declared = new PathTree<Declared>()
const byId = new Map<string, Declared>()
for (const { endpoint } of (await Promise.all(served.map((api) => listDeclarations(api)))).flat()) {
  const reply = endpoint.reply === 'stream' ? null : new Check(endpoint.reply)
  byId.set(endpoint.operationId, { endpoint, reply })
  for (const url of urlsOf(endpoint)) {
    declared.add(endpoint.method, url, Object.keys(endpoint.path.properties), { endpoint, reply })
  }
}

export interface Answer {
  readonly method: string
  readonly pathname: string
  readonly search: URLSearchParams
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** @returns what is wrong with it, in sentences */
export function faultsOfAnswer(answer: Answer): readonly string[] {
  const { method, status, headers, text } = answer
  if (method === 'OPTIONS' || method === 'HEAD') return faultsOfHeaders(answer)
  const found = findDeclared(answer)
  const type = headers.get('content-type')
  if (!type?.startsWith('application/json')) {
    const wantsJson = found?.reply && status < 300
    return [...faultsOfHeaders(answer), ...(wantsJson ? [`the type of its JSON is ${type}`] : [])]
  }
  const body = JSON.parse(text) as unknown
  return [
    ...faultsOfHeaders(answer),
    ...(type === 'application/json' ? [] : [`the type of its JSON is ${type}`]),
    ...(status < 300 ? faultsOfReply(found, body) : faultsOfError(answer, body as Readonly<Record<string, unknown>>)),
  ]
}

/** Spec: client-server-api §API Standards, §Rate limiting, §Web Browser Clients. */
function faultsOfHeaders({ pathname, status, headers }: Answer): readonly string[] {
  const faults: string[] = []
  const isApi = pathname.startsWith('/_matrix/') || pathname.startsWith('/.well-known/')
  if (isApi && headers.get('access-control-allow-origin') !== '*') faults.push('it has no CORS headers')
  if (status === 429 && !/^[1-9]\d*$/.test(headers.get('retry-after') ?? '')) faults.push('it has no Retry-After')
  return faults
}

function findDeclared({ method, pathname, search }: Answer): Declared | undefined {
  // MSC4140: clients of today ask for a delayed event where they would send it now.
  if (search.has('org.matrix.msc4140.delay')) return byId.get('scheduleDelayedEvent')
  try {
    const found = declared.find(method, pathname)
    return 'value' in found ? found.value : undefined
  } catch {
    // The path is not percent-encoded UTF-8: it is no endpoint's.
    return undefined
  }
}

function faultsOfReply(found: Declared | undefined, body: unknown): readonly string[] {
  if (!found?.reply) return []
  const { endpoint, reply } = found
  if (!reply.passes(body)) {
    const { field, why } = reply.fault(body)
    return [`'${field}' ${why}, says the declaration of ${endpoint.operationId}`]
  }
  // Of what the specification does not describe, the declaration is all there is.
  if (endpoint.unstable === undefined) return []
  return unknownKeys(endpoint.reply as TSchema as Schema, body, '').map(
    (key) => `'${key}' is not in the declaration of ${endpoint.operationId}`,
  )
}

/** Keys that no part of the schema names, where it does not leave them open. */
function unknownKeys(schema: Schema, value: unknown, at: string): readonly string[] {
  if (Array.isArray(value)) {
    const { items } = schema
    return items ? value.flatMap((item, i) => unknownKeys(items, item, `${at}[${i}]`)) : []
  }
  if (typeof value !== 'object' || value === null) return []
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) {
    const faults = choices
      .filter((one) => new Check(one as TSchema).passes(value))
      .map((one) => unknownKeys(one, value, at))
    return faults.some((list) => list.length === 0) ? [] : (faults[0] ?? [])
  }
  const parts: readonly SchemaOfObject[] = [schema, ...(schema.allOf ?? [])]
  const named = new Map(parts.flatMap(({ properties }) => Object.entries(properties ?? {})))
  const others = parts.flatMap(({ patternProperties }) => Object.values(patternProperties ?? {}))
  // Without any key of its own it is `AnyObject`: carried, not looked into.
  const isOpen = named.size === 0 || others.length > 0 || parts.some((part) => part.additionalProperties !== undefined)
  return Object.entries(value).flatMap(([key, item]) => {
    const property = named.get(key) ?? others[0]
    if (property) return unknownKeys(property, item, `${at}.${key}`)
    return isOpen ? [] : [`${at}.${key}`]
  })
}

interface SchemaOfObject extends Schema {
  readonly patternProperties?: Readonly<Record<string, Schema>>
}

/** Spec: client-server-api §Standard error response; RFC 6749 §5.2 for what OAuth clients call. */
function faultsOfError({ pathname, status }: Answer, body: Readonly<Record<string, unknown>>): readonly string[] {
  if (pathname.startsWith('/oauth/')) return typeof body.error === 'string' ? [] : ['its error has no `error`']
  // The first 401 of user-interactive authentication names flows instead of an error.
  if (status === 401 && Array.isArray(body.flows) && body.errcode === undefined) return []
  const faults: string[] = []
  if (!ERRCODE.test(String(body.errcode))) faults.push(`its errcode is ${String(body.errcode)}`)
  if (typeof body.error !== 'string') faults.push('it has no `error`')
  for (const [errcode, key] of keysOfErrors) {
    if (body.errcode === errcode && typeof body[key] !== 'string') faults.push(`it has no \`${key}\``)
  }
  return faults
}

/** The specification's, or one in a namespace such as `COM.MYDOMAIN.HERE`. */
const ERRCODE = /^(M|[A-Z0-9]+(\.[A-Z0-9]+)+)_[A-Z][A-Z0-9_]*$/

/** Keys that the specification wants beside an error code. Spec: client-server-api §Common error codes. */
const keysOfErrors = [
  ['M_RESOURCE_LIMIT_EXCEEDED', 'admin_contact'],
  ['M_USER_LIMIT_EXCEEDED', 'info_uri'],
] as const
