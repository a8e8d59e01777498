/** What nobody should send, for tests that send it to every endpoint. */
import { propertiesOf, sampleOf } from './sample.ts'
import type { Operation, Schema } from './spec.ts'

/** Bodies that are no JSON, or not the JSON object that is needed; and the error code for each. */
export const unreadable: readonly (readonly [what: string, body: string | Uint8Array, errcode: string])[] = [
  ['half an object', '{"a":', 'M_NOT_JSON'],
  ['NaN', '{"a":NaN}', 'M_NOT_JSON'],
  ['no UTF-8', new Uint8Array([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]), 'M_NOT_JSON'],
  ['a list', '[]', 'M_BAD_JSON'],
  ['null', 'null', 'M_BAD_JSON'],
  ['100,000 levels', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'M_BAD_JSON'],
  ['a lone surrogate', '{"a":"\\ud800"}', 'M_BAD_JSON'],
  ['a number without end', '{"a":1e999}', 'M_BAD_JSON'],
  ['a huge integer', '{"a":123456789012345678901234567890}', 'M_BAD_JSON'],
]

/** Odd text that is legal: refused with a 4xx or taken as it is, never an error of ours. */
export const oddTexts = [
  '',
  ' ',
  '\u0000',
  'line\nbreak',
  'U+2028 \u2028 U+2029 \u2029 U+0085 \u0085',
  '__proto__',
  'constructor',
  'toString',
  '../../../etc/passwd',
  '\u202e drawkcab',
  '👩‍👩‍👧‍👦',
  'e\u0301',
  '@:',
  '!:',
  '$',
  '%2F',
  'x'.repeat(70_000),
]

export const malformedEncoding = ['%', '%zz', '%ff', '%ed%a0%80', '%c3%28']

/** Keys that change what other objects are when they are copied carelessly. */
export const poison = '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"":{"":null}'

/** The query of the parameters that must be there, with sample values. */
export function requiredQuery(operation: Operation): string {
  return operation.parameters
    .filter((parameter) => parameter.in === 'query' && parameter.required)
    .map(({ name, schema }) => `${encodeURIComponent(name)}=${encodeURIComponent(String(sampleOf(schema)))}`)
    .join('&')
}

export interface Place {
  /** Keys with dots between. */
  readonly at: string
  readonly schema: Schema
  readonly bodyWith: (value: unknown) => unknown
}

/** Every key of the body, and of the objects in it. */
export function placesIn(schema: Schema, base: object, depth = 2): readonly Place[] {
  return [...propertiesOf(schema)].flatMap(([name, property]) => {
    const own: Place = { at: name, schema: property, bodyWith: (value) => ({ ...base, [name]: value }) }
    const sample = sampleOf(property)
    if (depth === 1 || !isObject(sample)) return [own]
    const inner = placesIn(property, sample, depth - 1).map((place) => ({
      at: `${name}.${place.at}`,
      schema: place.schema,
      bodyWith: (value: unknown) => ({ ...base, [name]: place.bodyWith(value) }),
    }))
    return [own, ...inner]
  })
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
