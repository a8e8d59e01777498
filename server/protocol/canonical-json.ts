/**
 * Canonical JSON: the one text of a value that hashes and signatures are taken over.
 * Spec: appendices §Canonical JSON; rooms/v1 and rooms/v6 §Canonical JSON.
 */
import { ExactNumber, MAX_JSON_DEPTH } from './json.ts'
import type { Json, JsonObject, Verdict } from './pdu.ts'
import { allow, reject } from './pdu.ts'

/** A value that has no canonical form; `message` says what in it is at fault, without quoting it. */
export class CanonicalJsonError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CanonicalJsonError'
  }
}

/**
 * Encodes a value as canonical JSON. Keys are sorted by code point, only own enumerable ones count.
 *
 * @param strict `false` for room versions before 6: floats and integers of any size are written as Synapse writes them
 * @throws CanonicalJsonError for `undefined`, functions, numbers that are not integers in ±(2^53−1) (if strict) or not
 * finite, lone surrogates, and nesting beyond `MAX_JSON_DEPTH`
 */
export function canonicalJson(value: Json, strict = true): string {
  return encode(value, 0, strict)
}

/**
 * Canonical JSON of an object without some of its top-level keys, as hashes and signatures need it.
 * @throws CanonicalJsonError as `canonicalJson`
 */
export function canonicalJsonWithout(object: JsonObject, omitted: ReadonlySet<string>, strict = true): string {
  return encodeObject(object, 0, strict, omitted)
}

/**
 * Whether a value has a canonical form; finds the same faults as `canonicalJson`, without building the text.
 * @param maxDepth how many levels of lists and objects there may be
 */
export function checkCanonicalJson(value: Json, strict = true, maxDepth = MAX_JSON_DEPTH): Verdict {
  const why = findFault(value, maxDepth, strict)
  return why === undefined ? allow : reject(why)
}

const FLOAT = 'JSON has a number that is not an integer'
const OUT_OF_RANGE = 'JSON has an integer outside of ±(2^53−1)'
const NOT_FINITE = 'JSON has a number that is too large'
const LONE_SURROGATE = 'JSON has a string with a lone surrogate'
const TOO_DEEP = 'JSON is nested too deeply'
const NOT_JSON = 'JSON has a value that is not null, a boolean, number, string, list or object'

/** Characters that are not written as they are, or may be half of a pair. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
const NEEDS_CARE = /[\u0000-\u001f"\\\ud800-\udfff]/
const SURROGATE = /[\ud800-\udfff]/
/** UTF-16 order and code point order differ only where such a unit is involved. */
const ABOVE_D7FF = /[\ud800-\uffff]/

function encode(value: unknown, depth: number, strict: boolean): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      return encodeNumber(value, strict)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return encodeList(value, depth, strict)
      if (value instanceof ExactNumber) return encodeExact(value, strict)
      return encodeObject(value as JsonObject, depth, strict)
    default:
      throw new CanonicalJsonError(NOT_JSON)
  }
}

function encodeList(list: readonly unknown[], depth: number, strict: boolean): string {
  if (depth >= MAX_JSON_DEPTH) throw new CanonicalJsonError(TOO_DEEP)
  let text = '['
  for (let i = 0; i < list.length; i += 1) {
    if (i > 0) text += ','
    text += encode(list[i], depth + 1, strict)
  }
  return `${text}]`
}

function encodeObject(object: JsonObject, depth: number, strict: boolean, omitted?: ReadonlySet<string>): string {
  if (depth >= MAX_JSON_DEPTH) throw new CanonicalJsonError(TOO_DEEP)
  let text = '{'
  for (const key of sortedKeys(object)) {
    if (omitted?.has(key)) continue
    if (text.length > 1) text += ','
    text += `${quote(key)}:${encode(object[key], depth + 1, strict)}`
  }
  return `${text}}`
}

function sortedKeys(object: JsonObject): string[] {
  const keys = Object.keys(object)
  let isSorted = true
  let isPlain = true
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i] as string
    if (isPlain && ABOVE_D7FF.test(key)) isPlain = false
    if (isSorted && i > 0 && (keys[i - 1] as string) > key) isSorted = false
  }
  if (!isPlain) return keys.sort(compareByCodePoint)
  return isSorted ? keys : keys.sort()
}

/** Surrogates stand for code points above all of U+E000 to U+FFFF, though their units are smaller. */
function compareByCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    const leftIsHalf = (left & 0xf800) === 0xd800
    const rightIsHalf = (right & 0xf800) === 0xd800
    if (leftIsHalf !== rightIsHalf) {
      if (leftIsHalf && right >= 0xe000) return 1
      if (rightIsHalf && left >= 0xe000) return -1
    }
    return left - right
  }
  return a.length - b.length
}

function quote(text: string): string {
  if (!NEEDS_CARE.test(text)) return `"${text}"`
  if (SURROGATE.test(text) && !text.isWellFormed()) throw new CanonicalJsonError(LONE_SURROGATE)
  // For well-formed text the standard's escapes are the canonical ones.
  return JSON.stringify(text)
}

function encodeNumber(value: number, strict: boolean): string {
  // Also writes -0 as 0.
  if (Number.isSafeInteger(value)) return String(value === 0 ? 0 : value)
  if (!Number.isFinite(value)) throw new CanonicalJsonError(NOT_FINITE)
  if (strict) throw new CanonicalJsonError(Number.isInteger(value) ? OUT_OF_RANGE : FLOAT)
  return Number.isInteger(value) ? BigInt(value).toString() : encodeFloat(value)
}

function encodeExact(number: ExactNumber, strict: boolean): string {
  if (number.isInteger) {
    if (strict) throw new CanonicalJsonError(OUT_OF_RANGE)
    return number.source
  }
  if (strict) throw new CanonicalJsonError(FLOAT)
  const value = number.valueOf()
  if (!Number.isFinite(value)) throw new CanonicalJsonError(NOT_FINITE)
  return encodeFloat(value)
}

/**
 * A float as Python's `repr` writes it: the fewest digits that read back the same, at least one after the point, and an
 * exponent of two digits or more below 1e-4 and from 1e16 on. No specification says so; it is what Synapse hashes.
 */
function encodeFloat(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, '0')
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`
  }
  // From 1e-6 to 1e21 JavaScript writes the same digits without an exponent.
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

function findFault(value: unknown, levelsLeft: number, strict: boolean): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? undefined : LONE_SURROGATE
    case 'boolean':
      return undefined
    case 'number':
      if (Number.isSafeInteger(value)) return undefined
      if (!Number.isFinite(value)) return NOT_FINITE
      if (!strict) return undefined
      return Number.isInteger(value) ? OUT_OF_RANGE : FLOAT
    case 'object':
      break
    default:
      return NOT_JSON
  }
  if (value === null) return undefined
  if (value instanceof ExactNumber) {
    if (strict) return value.isInteger ? OUT_OF_RANGE : FLOAT
    return value.isInteger || Number.isFinite(value.valueOf()) ? undefined : NOT_FINITE
  }
  if (levelsLeft <= 0) return TOO_DEEP
  if (Array.isArray(value)) {
    for (const item of value) {
      const why = findFault(item, levelsLeft - 1, strict)
      if (why !== undefined) return why
    }
    return undefined
  }
  const object = value as JsonObject
  for (const key of Object.keys(object)) {
    const why = key.isWellFormed() ? findFault(object[key], levelsLeft - 1, strict) : LONE_SURROGATE
    if (why !== undefined) return why
  }
  return undefined
}
