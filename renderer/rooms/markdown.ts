import MarkdownIt from 'markdown-it'

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false })
// pictures from anywhere would tell their server who reads along
markdown.disable(['image'])

/**
 * The content of a text message, from what was typed as Markdown. The `formatted_body` is there only where it says more
 * than the text does. `/me` makes an emote. Spec: client-server-api §m.room.message msgtypes.
 */
export function contentOf(typed: string): Record<string, unknown> {
  const isEmote = /^\/me\s+\S/.test(typed)
  const text = isEmote ? typed.replace(/^\/me\s+/, '') : typed
  const html = htmlOf(text)
  return {
    msgtype: isEmote ? 'm.emote' : 'm.text',
    body: text,
    ...(html ? { format: 'org.matrix.custom.html', formatted_body: html } : {}),
  }
}

/** The HTML of a Markdown text; `null` where it would be the text itself. */
export function htmlOf(text: string): string | null {
  const rendered = markdown.render(text).trim()
  const paragraphs = rendered.match(/<p>/g)?.length ?? 0
  const html =
    paragraphs === 1 && rendered.startsWith('<p>') && rendered.endsWith('</p>') ? rendered.slice(3, -4) : rendered
  return html.includes('<') && !isOnlyBreaksAndLinks(html) ? html : null
}

/** Line breaks and bare web addresses come out the same from the plain text. */
function isOnlyBreaksAndLinks(html: string): boolean {
  const rest = html
    .replace(/<br>\n?/g, '')
    .replace(/<a href="([^"]*)">([^<]*)<\/a>/g, (whole, href: string, shown: string) => (href === shown ? '' : whole))
  return !rest.includes('<')
}
