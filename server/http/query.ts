import type { TObject, TSchema } from 'typebox'
import { invalidParam } from '../../shared/matrix/errors.ts'

type Kind = 'string' | 'integer' | 'number' | 'boolean' | 'array'

/** How to read a query string, worked out once from the declaration's schema. */
export interface QueryPlan {
  readonly kinds: ReadonlyMap<string, { readonly kind: Kind; readonly item: Kind }>
  /** Keys that are not declared are kept, as strings. */
  readonly keepsOthers: boolean
}

export function planQuery(schema: TObject): QueryPlan {
  const kinds = new Map<string, { kind: Kind; item: Kind }>()
  for (const [name, property] of Object.entries(schema.properties as Record<string, TSchema>)) {
    const kind = kindOf(property)
    const items = (property as { items?: TSchema }).items
    kinds.set(name, { kind, item: items ? kindOf(items) : 'string' })
  }
  const others = (schema as { additionalProperties?: unknown }).additionalProperties
  return { kinds, keepsOthers: others !== undefined && others !== false }
}

function kindOf(schema: TSchema): Kind {
  const { type, anyOf } = schema as { type?: string; anyOf?: readonly TSchema[] }
  if (type === 'integer' || type === 'number' || type === 'boolean' || type === 'array') return type
  const first = anyOf?.[0]
  return first && anyOf.every((option) => kindOf(option) === kindOf(first)) ? kindOf(first) : 'string'
}

/**
 * Reads a query string. Text that is not of its parameter's type stays text, so that validation names the parameter.
 * Of a parameter that is repeated and no list, the first counts.
 *
 * @param text what follows `?`, still encoded
 * @throws MatrixError 400 M_INVALID_PARAM where it is not percent-encoded UTF-8
 */
export function parseQuery(text: string, plan: QueryPlan): Record<string, unknown> {
  const query: Record<string, unknown> = {}
  if (text === '' || (plan.kinds.size === 0 && !plan.keepsOthers)) return query
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    const known = plan.kinds.get(name)
    if (!known && (!plan.keepsOthers || name === '' || name === '__proto__')) continue
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (known?.kind === 'array') {
      const list = (query[name] as unknown[] | undefined) ?? []
      list.push(convert(value, known.item))
      query[name] = list
    } else if (!Object.hasOwn(query, name)) query[name] = convert(value, known?.kind ?? 'string')
  }
  return query
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    // The only error there is: URIError for bytes that are no UTF-8 or a lone `%`.
    throw invalidParam('The query string is not percent-encoded UTF-8')
  }
}

function convert(text: string, kind: Kind): unknown {
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (kind === 'integer') {
    const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    return Number.isSafeInteger(value) ? value : text
  }
  if (kind === 'number') return /^-?\d{1,16}(\.\d{1,16})?$/.test(text) ? Number(text) : text
  return text
}
