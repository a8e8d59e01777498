import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { strictRecords } from '../../shared/api/strict-records.ts'
import { badJson, invalidParam, type MatrixError, missingParam } from '../../shared/matrix/errors.ts'
import { ExactNumber } from '../protocol/json.ts'

/** Checks a value against a schema, and says in one sentence what is wrong with it. Compiled at its first use. */
export class Check {
  readonly #schema: TSchema
  readonly #isTrivial: boolean
  #validator: Validator | undefined

  constructor(schema: TSchema) {
    this.#schema = strictRecords(schema) as TSchema
    this.#isTrivial = isTrivial(schema)
  }

  passes(value: unknown): boolean {
    if (this.#isTrivial) return typeof value === 'object' && value !== null && !Array.isArray(value)
    return this.#compiled().Check(value)
  }

  /**
   * The object without the optional keys that are `null`, which some clients send for leaving them out.
   * @returns `undefined` where it does not pass that way either
   */
  withoutNulls(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const { properties = {}, required = [] } = this.#schema as { properties?: object; required?: readonly string[] }
    const isLeftOut = (key: string): boolean => Object.hasOwn(properties, key) && !required.includes(key)
    const kept = Object.entries(value).filter(([key, item]) => item !== null || !isLeftOut(key))
    const rest = Object.fromEntries(kept)
    return this.passes(rest) ? rest : undefined
  }

  /**
   * Whether an exact number of another server's JSON stands where the schema wants an object: to JavaScript, and so to
   * `passes`, it is one.
   */
  hasNumberForObject(value: unknown): boolean {
    return hasNumberForObject(this.#schema, value)
  }

  #compiled(): Validator {
    this.#validator ??= Compile(this.#schema)
    return this.#validator
  }

  /** The first thing wrong with a value that did not pass. */
  fault(value: unknown): Fault {
    const error = this.#compiled().Errors(value)[0]
    const at = error?.instancePath ?? ''
    if (error?.keyword === 'required') {
      const missing = (error.params as { requiredProperties: readonly string[] }).requiredProperties[0]
      return { isMissing: true, field: fieldName(`${at}/${missing}`), why: 'is missing' }
    }
    return { isMissing: false, field: fieldName(at), why: error?.message ?? 'is not valid' }
  }
}

interface Shape {
  readonly type?: unknown
  readonly properties?: Readonly<Record<string, Shape>>
  readonly items?: Shape
  readonly additionalProperties?: Shape | boolean
}

/** Goes no deeper than the schema. */
function hasNumberForObject(schema: Shape, value: unknown): boolean {
  if (value instanceof ExactNumber) return schema.type === 'object'
  if (Array.isArray(value)) {
    const { items } = schema
    return items !== undefined && value.some((item) => hasNumberForObject(items, item))
  }
  if (typeof value !== 'object' || value === null) return false
  const { properties = {}, additionalProperties: others } = schema
  return Object.entries(value).some(([key, item]) => {
    const inner = Object.hasOwn(properties, key) ? properties[key] : others
    return typeof inner === 'object' && hasNumberForObject(inner, item)
  })
}

interface Fault {
  readonly isMissing: boolean
  readonly field: string
  readonly why: string
}

/** `/rooms/0/name` as `rooms.0.name`, cut to a length that fits into a sentence. */
function fieldName(pointer: string): string {
  return pointer.slice(1, 200).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~')
}

/** The error for a path or query parameter that does not fit. Spec: client-server-api §Common error codes. */
export function parameterError({ isMissing, field, why }: Fault): MatrixError {
  return isMissing ? missingParam(`'${field}' is missing`) : invalidParam(`'${field}' ${why}`)
}

/**
 * The error for a body that does not fit: `M_BAD_JSON`, which by the specification also stands for missing keys; endpoints
 * that name `M_MISSING_PARAM` themselves get that one.
 */
export function bodyError({ isMissing, field, why }: Fault, errors: Readonly<Record<string, number>>): MatrixError {
  if (isMissing && 'M_MISSING_PARAM' in errors) return missingParam(`'${field}' is missing`)
  return badJson(field === '' ? `The body ${why}` : `'${field}' ${why}`)
}

/** An object of which nothing is asked. */
function isTrivial(schema: TSchema): boolean {
  const { type, properties, required, ...others } = schema as Record<string, unknown>
  return (
    type === 'object' &&
    Object.keys(properties ?? {}).length === 0 &&
    ((required as readonly string[] | undefined) ?? []).length === 0 &&
    Object.keys(others).every((key) => key === 'additionalProperties' && others[key] === true)
  )
}
