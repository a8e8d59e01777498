import createDOMPurify, { type Config, type DOMPurify, type WindowLike } from 'dompurify'

/** Tags that the specification lets a client show. Spec: client-server-api §m.room.message msgtypes (v1.19). */
const TAGS = [
  'del',
  's',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'blockquote',
  'p',
  'a',
  'ul',
  'ol',
  'sup',
  'sub',
  'li',
  'b',
  'i',
  'u',
  'strong',
  'em',
  'code',
  'hr',
  'br',
  'div',
  'table',
  'thead',
  'tbody',
  'tr',
  'th',
  'td',
  'caption',
  'pre',
  'span',
  'details',
  'summary',
]

/** Attributes, of any of these tags; where a value can do harm it is checked below. */
const ATTRIBUTES = ['href', 'start', 'class', 'data-mx-spoiler', 'data-mx-color', 'data-mx-bg-color']

const CONFIG: Config = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(https?|ftp|mailto|magnet):/i,
  // the quote before an answer is shown by ourselves, from the event itself
  FORBID_CONTENTS: [
    'mx-reply',
    'script',
    'style',
    'template',
    'svg',
    'math',
    'iframe',
    'object',
    'noscript',
    'title',
    'textarea',
    'xmp',
    'select',
  ],
  KEEP_CONTENT: true,
}

/** So deep may elements lie in one another; the specification suggests 100. */
const MAX_DEPTH = 100
const MAX_LENGTH = 65_536

export type Clean = (html: string) => string

/**
 * A cleaner of HTML that others wrote: only the specification's tags and attributes stay, links open elsewhere and tell
 * nobody where they were followed from, pictures are left out (they would be fetched from anywhere).
 * @param window the page's own, given so that tests can give theirs
 */
export function createCleaner(window: WindowLike): Clean {
  const purifier: DOMPurify = createDOMPurify(window)
  purifier.addHook('uponSanitizeElement', (node) => {
    if (depthOf(node) > MAX_DEPTH) node.parentNode?.removeChild(node)
  })
  purifier.addHook('afterSanitizeAttributes', (node) => {
    const tag = node.nodeName.toLowerCase()
    if (tag === 'a') {
      node.setAttribute('target', '_blank')
      node.setAttribute('rel', 'noreferrer noopener nofollow')
      if (!node.hasAttribute('href')) node.removeAttribute('target')
    } else {
      node.removeAttribute('href')
    }
    // only the language of a piece of code may name a class
    const language =
      tag === 'code'
        ? /(?:^|\s)(language-[\w+#-]{1,32})(?:\s|$)/.exec(node.getAttribute('class') ?? '')?.[1]
        : undefined
    if (language) node.setAttribute('class', language)
    else node.removeAttribute('class')
    if (tag !== 'ol' || !/^-?\d{1,9}$/.test(node.getAttribute('start') ?? '')) node.removeAttribute('start')
    for (const name of ['data-mx-color', 'data-mx-bg-color']) {
      if (!/^#[0-9a-f]{6}$/i.test(node.getAttribute(name) ?? '')) node.removeAttribute(name)
    }
    if (node.hasAttribute('data-mx-spoiler')) {
      node.setAttribute('tabindex', '0')
      node.setAttribute('role', 'button')
    }
  })
  return (html) => purifier.sanitize(html.slice(0, MAX_LENGTH), { ...CONFIG, RETURN_TRUSTED_TYPE: false })
}

function depthOf(node: Node): number {
  let depth = 0
  for (let at = node.parentNode; at && depth <= MAX_DEPTH; at = at.parentNode) depth++
  return depth
}
