/**
 * Regular expressions of namespaces. They come from the owner's files; what they are matched against comes from strangers.
 * So they run on RE2's automaton, in time that grows with the text alone. What it does not know (looking ahead and behind,
 * references back) is left to JavaScript's engine.
 */

/** The longest expression of a namespace, in characters. */
export const MAX_PATTERN_LENGTH = 1_024
/** No identifier is longer, so nothing longer is looked at. */
const MAX_TEXT_LENGTH = 255

/** @returns whether a text begins with what the expression describes, which is how other homeservers read namespaces */
export type Pattern = (text: string) => boolean

/** @throws SyntaxError for what is no regular expression; RangeError for one that is too long */
export async function compilePattern(source: string): Promise<Pattern> {
  if (source.length > MAX_PATTERN_LENGTH) throw new RangeError(`longer than ${MAX_PATTERN_LENGTH} characters`)
  const begins = (await linear(source)) ?? backtracking(source)
  return (text) => text.length <= MAX_TEXT_LENGTH && begins(text)
}

async function linear(source: string): Promise<Pattern | undefined> {
  // Loaded only where there are application services.
  const { RE2JS } = await import('re2js')
  try {
    const regex = RE2JS.compile(source)
    return (text) => regex.matcher(text).lookingAt()
  } catch {
    // The other engine says whether it is an expression at all.
    return undefined
  }
}

/** Without Unicode's strictness where that stands in the way: Python escapes characters that need no escape. */
function backtracking(source: string): Pattern {
  let regex: RegExp
  try {
    regex = new RegExp(`^(?:${source})`, 'u')
  } catch {
    // What is no expression at all throws once more.
    regex = new RegExp(`^(?:${source})`)
  }
  return (text) => regex.test(text)
}
