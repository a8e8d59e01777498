/**
 * Glob-style matching in time that grows with the text's length only, whatever the pattern.
 * Spec: appendices §Glob-style matching; client-server-api §Push Rules, `event_match`.
 *
 * `*` is any run of characters, `?` one character (a code point). Matching is case-sensitive: lower-case both sides for the other.
 */

/** Longer patterns match nothing. In UTF-16 units. */
export const MAX_GLOB_LENGTH = 1_024

export interface Glob {
  /** Whether the pattern matches all of the text. */
  readonly matches: (text: string) => boolean
  /**
   * Whether the pattern matches a part of the text that starts and ends at a word boundary: the text's start or end, or
   * next to a character other than `A-Z`, `a-z`, `0-9` and `_`.
   */
  readonly matchesWords: (text: string) => boolean
}

const NOTHING: Glob = { matches: () => false, matchesWords: () => false }

export function compileGlob(pattern: string): Glob {
  if (pattern.length > MAX_GLOB_LENGTH) return NOTHING
  if (!/[*?]/.test(pattern)) {
    return { matches: (text) => text === pattern, matchesWords: (text) => containsWords(text, pattern) }
  }
  const pieces = pattern.split(/[*?]+/)
  const longest = pieces.reduce((a, b) => (b.length > a.length ? b : a), '')
  let automaton: Automaton | undefined
  const run = (text: string, ofWords: boolean): boolean => {
    // Most texts lack the pattern's longest plain piece, and finding that out is quick.
    if (!text.includes(longest)) return false
    automaton ??= buildAutomaton(pattern)
    return runAutomaton(automaton, text, ofWords)
  }
  return {
    matches: pattern.includes('?') ? (text) => run(text, false) : (text) => matchesPieces(text, pattern.split('*')),
    matchesWords: (text) => run(text, true),
  }
}

/** Whether the text has the words, taken literally, between word boundaries. */
export function containsWords(text: string, words: string): boolean {
  for (let from = 0; from <= text.length; ) {
    const start = text.indexOf(words, from)
    if (start === -1) return false
    if (isBoundary(text, start) && isBoundary(text, start + words.length)) return true
    // Start again where a match could start at all.
    from = start + 1
    while (from < text.length && !isBoundary(text, from)) from += 1
  }
  return false
}

/** For patterns with `*` only: each piece at the first place that is left for it. */
function matchesPieces(text: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? ''
  const last = pieces.at(-1) ?? ''
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  let position = first.length
  const end = text.length - last.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, position)
    if (found === -1) return false
    position = found + piece.length
  }
  return position <= end
}

function isWordUnit(unit: number): boolean {
  return (
    (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f
  )
}

/** A position is a boundary unless it is inside of a word. */
function isBoundary(text: string, position: number): boolean {
  if (position === 0 || position === text.length) return true
  return !isWordUnit(text.charCodeAt(position - 1)) || !isWordUnit(text.charCodeAt(position))
}

/**
 * The pattern as an automaton whose state is a set of bits: bit n is set when the first n characters of the pattern
 * (stars not counted) are matched. One step for a character of text is one pass over the words that hold the bits.
 */
interface Automaton {
  readonly length: number
  /** Bits that stay set whatever comes, because a star follows. */
  readonly stars: Uint32Array
  /** Bits that move on at a character that the pattern does not name: where `?` is next. */
  readonly any: Uint32Array
  /** Bits that move on at a character that the pattern names. */
  readonly byCodePoint: ReadonlyMap<number, Uint32Array>
}

function buildAutomaton(pattern: string): Automaton {
  const codePoints = Array.from(pattern, (character) => character.codePointAt(0) ?? 0)
  const steps = codePoints.filter((codePoint) => codePoint !== STAR)
  const words = (steps.length >>> 5) + 1
  const stars = new Uint32Array(words)
  const any = new Uint32Array(words)
  const byCodePoint = new Map<number, Uint32Array>()
  let position = 0
  for (const codePoint of codePoints) {
    if (codePoint === STAR) setBit(stars, position)
    else {
      if (codePoint === QUESTION_MARK) setBit(any, position)
      position += 1
    }
  }
  for (const [index, codePoint] of steps.entries()) {
    if (codePoint === QUESTION_MARK) continue
    const bits = byCodePoint.get(codePoint) ?? any.slice()
    byCodePoint.set(codePoint, bits)
    setBit(bits, index)
  }
  return { length: steps.length, stars, any, byCodePoint }
}

const STAR = 0x2a
const QUESTION_MARK = 0x3f

function runAutomaton(automaton: Automaton, text: string, ofWords: boolean): boolean {
  const { length, stars, any, byCodePoint } = automaton
  const state = new Uint32Array(stars.length)
  setBit(state, 0)
  if (ofWords && length === 0) return true
  for (let position = 0; position < text.length; ) {
    if (ofWords && isBoundary(text, position)) setBit(state, 0)
    const codePoint = text.codePointAt(position) ?? 0
    const moving = byCodePoint.get(codePoint) ?? any
    let carry = 0
    for (let i = 0; i < state.length; i += 1) {
      const bits = state[i] as number
      const moved = bits & (moving[i] as number)
      state[i] = (moved << 1) | carry | (bits & (stars[i] as number))
      carry = moved >>> 31
    }
    position += codePoint > 0xffff ? 2 : 1
    if (ofWords && hasBit(state, length) && isBoundary(text, position)) return true
  }
  return hasBit(state, length)
}

function setBit(bits: Uint32Array, index: number): void {
  bits[index >>> 5] = (bits[index >>> 5] as number) | (1 << (index & 31))
}

function hasBit(bits: Uint32Array, index: number): boolean {
  return (((bits[index >>> 5] as number) >>> (index & 31)) & 1) === 1
}
