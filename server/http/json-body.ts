import { isUtf8 } from 'node:buffer'
import { badJson, notJson } from '../../shared/matrix/errors.ts'

/** How deep objects and lists may lie in each other. Everything behind the edge may walk a body by recursion. */
export const MAX_JSON_DEPTH = 200

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Parses a request's body, refusing what could not be kept exactly: lone surrogates, numbers that are not finite, integers
 * beyond 2^53 − 1 (the JSON of the specification has no others), nesting beyond `MAX_JSON_DEPTH`.
 *
 * @throws MatrixError 400 M_NOT_JSON where it is not JSON in UTF-8, 400 M_BAD_JSON where it is but cannot be kept
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw notJson('The request has no body, and JSON is needed')
  if (!isUtf8(bytes)) throw notJson('The body is not UTF-8')
  const suspicion = scan(bytes)
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text, suspicion.numbers ? checkNumber : undefined)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw notJson('The body is not JSON')
    throw cause
  }
  if (suspicion.surrogates) requireWellFormed(value)
  return value
}

interface Suspicion {
  /** A number that may be too large is there. */
  readonly numbers: boolean
  /** An escaped surrogate is there, perhaps without its other half. */
  readonly surrogates: boolean
}

/**
 * One pass over the bytes, outside of strings for depth and numbers: cheap, so that the checks that walk the value run only
 * where they are needed. It need not understand JSON; what is no JSON fails in the parser.
 */
function scan(bytes: Buffer): Suspicion {
  let depth = 0
  let numbers = false
  let surrogates = false
  let digits = 0
  const end = bytes.length
  for (let i = 0; i < end; i += 1) {
    const byte = bytes[i] as number
    if (byte === QUOTE) {
      for (i += 1; i < end; i += 1) {
        const inside = bytes[i] as number
        if (inside === QUOTE) break
        if (inside !== BACKSLASH) continue
        i += 1
        // \ud800 to \udfff
        if (bytes[i] === 0x75 && ((bytes[i + 1] as number) | 0x20) === 0x64 && (bytes[i + 2] as number) >= 0x38) {
          surrogates = true
        }
      }
      digits = 0
    } else if (byte >= 0x30 && byte <= 0x39) {
      digits += 1
      if (digits >= 16) numbers = true
    } else {
      if (byte === 0x7b || byte === 0x5b) {
        depth += 1
        if (depth > MAX_JSON_DEPTH) throw badJson(`The body is nested deeper than ${MAX_JSON_DEPTH} levels`)
      } else if (byte === 0x7d || byte === 0x5d) depth -= 1
      else if (digits > 0 && (byte | 0x20) === 0x65) numbers = true
      digits = 0
    }
  }
  return { numbers, surrogates }
}

function checkNumber(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)) {
    throw badJson('A number in the body is larger than 2^53 - 1')
  }
  return value
}

function requireWellFormed(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw badJson('A string in the body has half of a surrogate pair')
  } else if (Array.isArray(value)) {
    for (const item of value) requireWellFormed(item)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      requireWellFormed(key)
      requireWellFormed(item)
    }
  }
}
