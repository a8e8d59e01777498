/**
 * Reading JSON of others without losing anything. `JSON.parse` turns 1.0 into 1 and 12345678901234567890 into another
 * number, which changes hashes of events in room versions before 6, and hides from version 6 on that an event breaks the rules.
 */
import type { Json } from './pdu.ts'

/** The deepest nesting that we read or write; about where Synapse stops, too. */
export const MAX_JSON_DEPTH = 1_000

/**
 * A number as it was written, where a JavaScript number would not say the same: with a fraction or an exponent, or an
 * integer outside ±(2^53−1). It counts and compares as the nearest number, and `JSON.stringify` writes it as it was read.
 */
export class ExactNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  get isInteger(): boolean {
    return INTEGER.test(this.source)
  }

  valueOf(): number {
    return Number(this.source)
  }

  toString(): string {
    return this.source
  }

  toJSON(): unknown {
    return rawJson(this.source)
  }
}

const INTEGER = /^-?\d+$/
/** Where a number may begin in JSON text, and has a fraction, an exponent, or more digits than are always exact. */
const MAYBE_INEXACT = /[:[,]\s*-?\d+(?:[.eE]|\d{15})|^\s*-?\d+(?:[.eE]|\d{15})/

// `JSON.rawJSON` and the reviver's third argument are in Node 21 and later, but not in TypeScript's library yet.
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
type Reviver = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown

const keepExact: Reviver = (_key, value, context) => {
  if (typeof value !== 'number') return value
  const source = context?.source
  if (source === undefined || (INTEGER.test(source) && Number.isSafeInteger(value))) return value
  return new ExactNumber(source)
}

/**
 * Parses JSON text so that nothing is lost: numbers that JavaScript cannot hold become `ExactNumber`, keys such as
 * `__proto__` are plain data. As fast as `JSON.parse` where there are no such numbers. Of equal keys the last one counts.
 *
 * @throws SyntaxError for text that is not JSON, or is nested too deeply for its exact numbers to be kept
 */
export function parseJson(text: string): Json {
  if (!MAYBE_INEXACT.test(text)) return JSON.parse(text) as Json
  try {
    return JSON.parse(text, keepExact as (this: unknown, key: string, value: unknown) => unknown) as Json
  } catch (error) {
    // Revivers run by recursion, the parser itself does not.
    if (error instanceof RangeError) throw new SyntaxError('JSON is nested too deeply', { cause: error })
    throw error
  }
}

/** The number that a JSON value stands for, exact or nearest; `undefined` for what is no number. May be infinite. */
export function numberOf(value: Json | ExactNumber | undefined): number | undefined {
  if (typeof value === 'number') return value
  return value instanceof ExactNumber ? value.valueOf() : undefined
}

/** Whether the value is a JSON object: not `null`, no list, no exact number. */
export function isJsonObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
}

/** An own property of a JSON object, never one that it inherits (a server may be called `constructor`). */
export function ownValue<V>(object: { readonly [key: string]: V }, key: string): V | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
