import type { Endpoint } from '../../shared/api/endpoint.ts'
import type { Operation, Schema } from '../support/spec.ts'

/** @returns sentences about what a declaration says otherwise than the specification; none when they agree */
export function compare(operation: Operation, endpoint: Endpoint): readonly string[] {
  return [
    ...differs('method', operation.method, endpoint.method),
    ...differs('url', operation.url, endpoint.url),
    ...differs('auth', operation.auth, endpoint.auth),
    ...differs('rateLimited', operation.isRateLimited, endpoint.rateLimited),
    ...compareParameters('path', operation, endpoint.path as Schema),
    ...compareParameters('query', operation, endpoint.query as Schema),
    ...compareBody(operation, endpoint),
    ...compareReply(operation, endpoint),
    ...compareErrors(operation, endpoint),
  ]
}

function differs(what: string, specified: unknown, declared: unknown): readonly string[] {
  return specified === declared ? [] : [`${what} is ${String(declared)} and should be ${String(specified)}`]
}

function compareParameters(place: 'path' | 'query', operation: Operation, declared: Schema): readonly string[] {
  const specified = operation.parameters.filter((parameter) => parameter.in === place)
  const required = specified.filter((parameter) => parameter.required).map(({ name }) => name)
  return [
    ...missingFrom(
      `${place} parameter`,
      specified.map(({ name }) => name),
      namesOf(declared),
    ),
    ...tooMany(
      `${place} parameter`,
      specified.map(({ name }) => name),
      namesOf(declared),
    ),
    ...differs(`required ${place} parameters`, list(required), list(declared.required ?? [])),
  ]
}

function compareBody(operation: Operation, { body, bodyRequired }: Endpoint): readonly string[] {
  const isJson = operation.body?.contentTypes.includes('application/json') ?? false
  const specified = operation.body === null ? 'none' : isJson ? 'JSON' : 'bytes'
  const declared = body === null ? 'none' : body === 'stream' ? 'bytes' : 'JSON'
  if (specified !== declared) return [`body is ${declared} and should be ${specified}`]
  if (!operation.body || body === null || body === 'stream') return []
  const shape = merged(operation.body.schema)
  return [
    ...(operation.body.isRequired && bodyRequired === false ? ['the body may be left out'] : []),
    ...missingFrom('body key', shape.names, namesOf(body as Schema)),
    ...(shape.hasChoices
      ? []
      : differs('required body keys', list(shape.required), list(merged(body as Schema).required))),
  ]
}

function compareReply({ reply }: Operation, endpoint: Endpoint): readonly string[] {
  if (endpoint.reply === 'stream') return reply ? ['reply is bytes and should be JSON'] : []
  if (!reply) return []
  const specified = merged(reply)
  const declared = merged(endpoint.reply as Schema)
  // A slice may build the JSON itself and only say that it is an object; other tests check it against the schema.
  if (declared.names.length === 0) return []
  const unknown = specified.isOpen ? [] : tooMany('reply key', specified.names, declared.names)
  const missing = specified.required.filter((name) => !declared.required.includes(name))
  return [...unknown, ...missing.map((name) => `reply key ${name} should be required`)]
}

function compareErrors({ statuses }: Operation, { errors }: Endpoint): readonly string[] {
  const specified = statuses.filter((status) => status >= 400 && status !== 429 && status !== 401)
  const declared = new Set(Object.values(errors))
  return specified
    .filter((status) => !declared.has(status))
    .map((status) => `no error with status ${status} is declared`)
}

interface Shape {
  readonly names: readonly string[]
  readonly required: readonly string[]
  /** Takes any key. */
  readonly isOpen: boolean
  /** Has `oneOf` or `anyOf`, so that what is required depends. */
  readonly hasChoices: boolean
}

/** An object's keys with those of all its parts. */
function merged(schema: Schema): Shape {
  const all = (schema.allOf ?? []).map(merged)
  const choices = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].map(merged)
  const open = schema.additionalProperties
  return {
    names: [...namesOf(schema), ...[...all, ...choices].flatMap(({ names }) => names)],
    required: [...(schema.required ?? []), ...all.flatMap(({ required }) => required)],
    isOpen: (open !== undefined && open !== false) || [...all, ...choices].some(({ isOpen }) => isOpen),
    hasChoices: choices.length > 0 || all.some(({ hasChoices }) => hasChoices),
  }
}

function namesOf(schema: Schema): readonly string[] {
  const { properties = {}, allOf = [], oneOf = [], anyOf = [] } = schema
  return [...Object.keys(properties), ...[...allOf, ...oneOf, ...anyOf].flatMap(namesOf)]
}

function missingFrom(what: string, specified: readonly string[], declared: readonly string[]): readonly string[] {
  return [...new Set(specified)].filter((name) => !declared.includes(name)).map((name) => `${what} ${name} is missing`)
}

function tooMany(what: string, specified: readonly string[], declared: readonly string[]): readonly string[] {
  return [...new Set(declared)].filter((name) => !specified.includes(name)).map((name) => `${what} ${name} is unknown`)
}

const list = (names: readonly string[]): string => [...new Set(names)].sort().join(', ') || 'none'
