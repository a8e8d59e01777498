export type TextPart = { readonly text: string; readonly href: string | null }

const LINK = /https?:\/\/[^\s<>"'`]+/gi

/**
 * A plain text with its web addresses told apart. Signs that end a sentence do not belong to the address, nor a closing
 * bracket that was not opened in it. The parts put together are the text.
 */
export function linkify(text: string): readonly TextPart[] {
  const parts: TextPart[] = []
  let at = 0
  for (const match of text.matchAll(LINK)) {
    const href = trimmed(match[0])
    if (!isWebAddress(href)) continue
    if (match.index > at) parts.push({ text: text.slice(at, match.index), href: null })
    parts.push({ text: href, href })
    at = match.index + href.length
  }
  if (at < text.length) parts.push({ text: text.slice(at), href: null })
  return parts
}

function trimmed(found: string): string {
  let link = found.replace(/[.,;:!?…»”’]+$/u, '')
  for (const [open, close] of [
    ['(', ')'],
    ['[', ']'],
    ['{', '}'],
  ] as const) {
    while (link.endsWith(close) && link.split(close).length > link.split(open).length) link = link.slice(0, -1)
  }
  return link
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && new URL(text).hostname !== ''
}
