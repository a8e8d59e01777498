import type { Schema } from './spec.ts'

/** A small value that fits the schema: examples where there are any, and of objects only what is required. */
export function sampleOf(schema: Schema): unknown {
  if (schema.example !== undefined) return schema.example
  if (schema.enum && schema.enum.length > 0) return schema.enum[0]
  const constant = (schema as { const?: unknown }).const
  if (constant !== undefined) return constant
  const choice = schema.oneOf?.[0] ?? schema.anyOf?.[0]
  const parts = [...(schema.allOf ?? []), ...(choice ? [choice] : [])]
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.[0]
  if (type === 'object' || schema.properties || parts.length > 0) return sampleObject(schema, parts)
  if (type === 'array') return []
  if (type === 'integer' || type === 'number') return 1
  if (type === 'boolean') return true
  if (type === 'null') return null
  return 'text'
}

function sampleObject(schema: Schema, parts: readonly Schema[]): unknown {
  const samples = parts.map(sampleOf)
  const isObject = samples.every((sample) => typeof sample === 'object' && sample !== null && !Array.isArray(sample))
  if (!isObject) return samples[0]
  const own = Object.entries(schema.properties ?? {})
    .filter(([name]) => schema.required?.includes(name))
    .map(([name, property]) => [name, sampleOf(property)] as const)
  return Object.assign({}, ...samples, Object.fromEntries(own))
}

/** Every key that an object may have, with its schema, from all its parts. */
export function propertiesOf(schema: Schema): ReadonlyMap<string, Schema> {
  const parts = [...(schema.allOf ?? []), ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]
  return new Map([...parts.flatMap((part) => [...propertiesOf(part)]), ...Object.entries(schema.properties ?? {})])
}

const kinds: Readonly<Record<string, unknown>> = {
  null: null,
  boolean: true,
  integer: 7,
  number: 1.5,
  string: 'text',
  array: [],
  object: {},
}

/** One value of each JSON type that the schema does not take; none where the schema does not name a type. */
export function wrongTypesFor(schema: Schema): readonly unknown[] {
  if (schema.type === undefined) return []
  const right = new Set(typeof schema.type === 'string' ? [schema.type] : schema.type)
  if (right.has('number')) right.add('integer')
  return Object.entries(kinds)
    .filter(([kind]) => !right.has(kind))
    .map(([, value]) => value)
}
