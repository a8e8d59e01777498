/** Markup that is safe to send. Made by `html` alone. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Part = Html | string | number | readonly Html[] | null | undefined | false

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** For texts between tags and in quoted attributes. */
const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => escapes[letter] as string)

/** A template whose parts are escaped, but for those that are `Html` already. What is absent leaves nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let text = strings[0] as string
  for (const [i, part] of parts.entries()) text += textOf(part) + strings[i + 1]
  return new Html(text)
}

function textOf(part: Part): string {
  if (part instanceof Html) return part.text
  if (Array.isArray(part)) return (part as readonly Html[]).map((item) => item.text).join('')
  return part === null || part === undefined || part === false ? '' : escaped(String(part))
}
