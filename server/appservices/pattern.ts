/**
 * Regular expressions of namespaces. They come from the owner's files; what they are matched against comes from strangers.
 */

/** The longest expression of a namespace, in characters. */
export const MAX_PATTERN_LENGTH = 1_024
/** No identifier is longer, so nothing longer is looked at. */
const MAX_TEXT_LENGTH = 255

/** @returns whether a text begins with what the expression describes, which is how other homeservers read namespaces */
export type Pattern = (text: string) => boolean

/** @throws SyntaxError for what is no regular expression; RangeError for one that is too long */
export function compilePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_LENGTH) throw new RangeError(`longer than ${MAX_PATTERN_LENGTH} characters`)
  const regex = parse(`^(?:${source})`)
  return (text) => text.length <= MAX_TEXT_LENGTH && regex.test(text)
}

/** Without Unicode's strictness where that stands in the way: Python escapes characters that need no escape. */
function parse(source: string): RegExp {
  try {
    return new RegExp(source, 'u')
  } catch {
    // What is no expression at all throws once more.
    return new RegExp(source)
  }
}
