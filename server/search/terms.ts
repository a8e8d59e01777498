/**
 * Words of texts and of what is searched for, folded in the same way: without case, diacritics and compatibility forms. Runs of
 * scripts that write no spaces become overlapping pairs of characters, of which a search asks for all in a row, so that any part
 * of such a run is found.
 */

/** So much of a text is looked at. */
const MAX_TEXT = 8_192
/** More words than this a search does not ask for. */
const MAX_TERMS = 32

const WORD = /[\p{L}\p{N}\p{M}]+/gu
const UNSPACED =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
/** Marks that readers leave out when they type: accents, Hebrew points, Arabic vowels. In Indic scripts marks are letters. */
const DIACRITICS =
  /[\u0300-\u036f]|[\u0591-\u05c7]|[\u064b-\u065f]|\u0670|[\u1ab0-\u1aff]|[\u1dc0-\u1dff]|[\u20d0-\u20ff]/g

/** The text without what makes no difference when searching. */
export const fold = (text: string): string =>
  text.slice(0, MAX_TEXT).normalize('NFKD').toLowerCase().replaceAll('ß', 'ss').replace(DIACRITICS, '').normalize('NFC')

/** The words of a text, by which it is found, in its order and with a space between them. */
export function termsOf(text: string): string {
  const terms: string[] = []
  for (const { run, isUnspaced } of runsOf(fold(text))) terms.push(...(isUnspaced ? pairsIn(run) : [run]))
  return terms.join(' ')
}

/** What a search asks for: the words that a text must have, each of them whole or as its beginning. */
export interface Sought {
  /** One word, or the pairs of characters that follow one another. */
  readonly terms: readonly string[]
  /** All of it, as it was searched for. */
  readonly run: string
  /** Whether the last of them may go on. */
  readonly isPrefix: boolean
}

/** @returns nothing for a text without words */
export function soughtIn(text: string): readonly Sought[] {
  const sought: Sought[] = []
  for (const { run, isUnspaced } of runsOf(fold(text))) {
    const pairs = isUnspaced ? pairsIn(run) : [run]
    // The last character stands alone at the end of a text only; elsewhere it begins a pair.
    const terms = pairs.length > 1 ? pairs.slice(0, -1) : pairs
    sought.push({ run, terms, isPrefix: !isUnspaced || pairs.length === 1 })
    if (sought.length === MAX_TERMS) break
  }
  return sought
}

/** In the words of FTS5. Terms hold letters and digits alone, so nothing in them is an operator. */
export const matchExpression = (sought: readonly Sought[]): string =>
  sought.map(({ terms, isPrefix }) => `"${terms.join(' ')}"${isPrefix ? '*' : ''}`).join(' AND ')

/**
 * How well a text fits, in (0, 1]: more for words that are whole and come often, less for long texts. It depends on this text alone,
 * so that pages follow one another whatever is said meanwhile.
 */
export function rankOf(terms: string, sought: readonly Sought[]): number {
  const words = terms.split(' ')
  const damping = 0.5 + words.length / 20
  let sum = 0
  for (const { terms: wanted, isPrefix } of sought) {
    const [first = ''] = wanted
    let weight = 0
    for (const word of words) {
      if (word === first) weight += 1
      else if (isPrefix && word.startsWith(first)) weight += 0.5
    }
    sum += weight / (weight + damping)
  }
  return sum / Math.max(1, sought.length)
}

/** The words of a text, as they are written there, that make it a match. */
export function highlightsIn(text: string, sought: readonly Sought[]): readonly string[] {
  // Part of a run without spaces stands in the text as it was searched for.
  const found = new Set(sought.filter(({ isPrefix }) => !isPrefix).map(({ run }) => run))
  const beginnings = sought.filter(({ isPrefix }) => isPrefix).map(({ run }) => run)
  for (const [word] of text.slice(0, MAX_TEXT).matchAll(WORD)) {
    const folded = fold(word)
    if (beginnings.some((beginning) => folded.startsWith(beginning))) found.add(word)
  }
  return [...found]
}

function* runsOf(folded: string): Generator<{ readonly run: string; readonly isUnspaced: boolean }> {
  for (const [word] of folded.matchAll(WORD)) {
    let end = 0
    for (const { 0: run, index } of word.matchAll(UNSPACED)) {
      if (index > end) yield { run: word.slice(end, index), isUnspaced: false }
      yield { run, isUnspaced: true }
      end = index + run.length
    }
    if (end < word.length) yield { run: word.slice(end), isUnspaced: false }
  }
}

function pairsIn(run: string): readonly string[] {
  const characters = [...run]
  return characters.map((character, i) => character + (characters[i + 1] ?? ''))
}
