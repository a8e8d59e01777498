/** What is looked at later; all other tags go. */
const WANTED: ReadonlySet<string> = new Set(['title', 'meta', 'link', 'h1', 'p'])
const WANTED_ATTRIBUTES: ReadonlySet<string> = new Set(['property', 'name', 'itemprop', 'content', 'rel', 'href'])
/** Their content is no text of the page. */
const SKIPPED: ReadonlySet<string> = new Set(
  'iframe math noembed noframes noscript object script select style svg template textarea xmp'.split(' '),
)
/** They go on in a line. Any other tag ends a paragraph. */
const INLINE: ReadonlySet<string> = new Set(
  'a abbr b bdi bdo br cite code data del dfn em i img ins kbd mark q s samp small span strong sub sup time u var wbr'.split(
    ' ',
  ),
)
const MAX_ELEMENTS = 500
const MAX_VALUE_LENGTH = 4_096
const MAX_TEXT_LENGTH = 64_000
const NAME = /[a-z][^\s/>]{0,30}/iy
/** One attribute: each alternative is left by one character, so that nothing is read twice but a last open quote. */
const ATTRIBUTE = /[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*)))?/y
const TAG_END = /[\s/=]*>/y
const BETWEEN = /[\s/=]+/y

/**
 * Rewrites a page to the little that a preview is made from, so that what parses it afterwards meets no deep nesting, no
 * thousands of elements or attributes, no scripts, and nothing that could be read in two ways. Takes time in proportion to
 * the text, whatever is in it.
 */
export function plainHtml(text: string): string {
  const out: string[] = []
  let elements = 0
  let textLength = 0
  /** The element whose text is being taken. */
  let inside: string | undefined
  const close = (): void => {
    if (inside !== undefined) out.push(`</${inside}>`)
    inside = undefined
  }
  const take = (piece: string): void => {
    if (inside === undefined || textLength > MAX_TEXT_LENGTH) return
    textLength += piece.length
    out.push(piece.slice(0, MAX_TEXT_LENGTH).replaceAll('<', '&lt;'))
  }

  for (let at = 0; at < text.length && elements < MAX_ELEMENTS; ) {
    const open = text.indexOf('<', at)
    take(text.slice(at, open === -1 ? undefined : open))
    if (open === -1) break
    const next = text[open + 1] ?? ''
    if (next === '!' || next === '?') {
      at = after(text, text.startsWith('<!--', open) ? '-->' : '>', open + 2)
      continue
    }
    const name = match(NAME, text, open + (next === '/' ? 2 : 1))?.[0].toLowerCase()
    if (name === undefined) {
      take('<')
      at = open + 1
      continue
    }
    if (next === '/') {
      if (!INLINE.has(name)) close()
      at = after(text, '>', open + 2)
      continue
    }
    const tag = readTag(text, open + 1 + name.length)
    at = tag.end
    if (SKIPPED.has(name)) at = endOf(name, text, at)
    else if (name === 'title') {
      const end = endOf(name, text, at)
      close()
      inside = name
      out.push('<title>')
      take(text.slice(at, end))
      close()
      elements += 1
      at = end
    } else if (WANTED.has(name)) {
      close()
      elements += 1
      out.push(`<${name}${tag.attributes}>`)
      if (name === 'p' || name === 'h1') inside = name
    } else if (!INLINE.has(name)) close()
    else if (name === 'br') take(' ')
  }
  close()
  return `<!doctype html><html><body>${out.join('')}</body></html>`
}

/** @returns the wanted attributes, written in one way, and where the tag has ended */
function readTag(text: string, from: number): { readonly attributes: string; readonly end: number } {
  const kept = new Map<string, string>()
  let at = from
  for (;;) {
    const end = match(TAG_END, text, at)
    if (end) {
      const attributes = [...kept].map(([name, value]) => ` ${name}="${value.replaceAll('"', '&quot;')}"`).join('')
      return { attributes, end: at + end[0].length }
    }
    const found = match(ATTRIBUTE, text, at)
    if (!found) {
      at += match(BETWEEN, text, at)?.[0].length ?? 0
      // The text ends within the tag, which then is none.
      if (at >= text.length) return { attributes: '', end: text.length }
      continue
    }
    at += found[0].length
    const [, name = '', double, single, bare = ''] = found
    const value = double ?? single ?? bare
    const key = name.length <= 10 ? name.toLowerCase() : ''
    if (WANTED_ATTRIBUTES.has(key) && !kept.has(key) && value.length <= MAX_VALUE_LENGTH) kept.set(key, value)
  }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function after(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from)
  return at === -1 ? text.length : at + what.length
}

const ENDS = new Map([...SKIPPED, 'title'].map((name) => [name, new RegExp(`</${name}(?=[\\s/>])`, 'gi')]))

function endOf(name: string, text: string, from: number): number {
  const pattern = ENDS.get(name)
  return (pattern && match(pattern, text, from)?.index) ?? text.length
}
