import { plainHtml } from './plain-html.ts'
import { webUrl } from './target.ts'

/** What a page says of itself. Spec: client-server-api, GET /_matrix/client/v1/media/preview_url; https://ogp.me. */
export interface PageFacts {
  /** `og:…` keys, without those that name files. */
  readonly og: Readonly<Record<string, string>>
  /** Absolute URLs of pictures, the best first. */
  readonly imageUrls: readonly string[]
}

const MAX_KEYS = 30
const MAX_TITLE_LENGTH = 300
const MAX_DESCRIPTION_LENGTH = 1_000
const MAX_OTHER_LENGTH = 500
/** Shorter paragraphs are buttons and dates. */
const MIN_PARAGRAPH_LENGTH = 40

/** @param url where the page is, for relative URLs in it */
export async function readPage(html: string, url: string): Promise<PageFacts> {
  // Loaded when first needed.
  const { parseHTML } = await import('linkedom')
  const { document } = parseHTML(plainHtml(html))
  const said = new Map<string, string>()
  for (const meta of document.querySelectorAll('meta')) {
    const key = (meta.getAttribute('property') ?? meta.getAttribute('name') ?? meta.getAttribute('itemprop') ?? '')
      .trim()
      .toLowerCase()
    const value = clean(meta.getAttribute('content') ?? '', MAX_DESCRIPTION_LENGTH * 4)
    if (key !== '' && value !== '' && !said.has(key)) said.set(key, value)
  }
  const textOf = (selector: string): string =>
    clean(document.querySelector(selector)?.textContent ?? '', MAX_TITLE_LENGTH)
  const paragraphs = (): string =>
    [...document.querySelectorAll('p')]
      .map((paragraph) => clean(paragraph.textContent ?? '', MAX_DESCRIPTION_LENGTH))
      .filter((text) => text.length >= MIN_PARAGRAPH_LENGTH)
      .slice(0, 3)
      .join(' ')

  const og: Record<string, string> = {}
  for (const [key, value] of said) {
    if (Object.keys(og).length >= MAX_KEYS) break
    if (isCarried(key)) og[key] = cut(value, MAX_OTHER_LENGTH)
  }
  const link = og['og:url'] === undefined ? undefined : webUrl(og['og:url'], url)
  if (link) og['og:url'] = link.href
  else delete og['og:url']
  const title = said.get('og:title') ?? said.get('twitter:title') ?? (textOf('title') || textOf('h1'))
  const description =
    said.get('og:description') ?? said.get('twitter:description') ?? said.get('description') ?? paragraphs()
  if (title !== '') og['og:title'] = cut(title, MAX_TITLE_LENGTH)
  if (description !== '') og['og:description'] = cut(description, MAX_DESCRIPTION_LENGTH)

  const imageSource = document.querySelector('link[rel="image_src"]')?.getAttribute('href') ?? undefined
  const images = [
    ...['og:image:secure_url', 'og:image', 'og:image:url', 'twitter:image', 'twitter:image:src'].map((key) =>
      said.get(key),
    ),
    imageSource,
    said.get('image'),
  ]
  const imageUrls = images.flatMap((text) => (text === undefined ? [] : (webUrl(text, url)?.href ?? [])))
  return { og, imageUrls: [...new Set(imageUrls)] }
}

/** Pictures are replaced by ours, films and sounds left out: a client that fetched them would tell others who reads. */
function isCarried(key: string): boolean {
  if (key === 'og:image:alt') return true
  return /^og:[a-z0-9_:.-]{1,60}$/.test(key) && !/^og:(image|video|audio)(:|$)/.test(key)
}

/** One line, without what a terminal or a text's direction could be changed with. */
function clean(text: string, maxLength: number): string {
  return cut(
    text
      .toWellFormed()
      .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
    maxLength,
  )
}

/** Never in the middle of a character. */
function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  return `${text
    .slice(0, maxLength - 1)
    .replace(/[\ud800-\udbff]$/, '')
    .trimEnd()}…`
}
