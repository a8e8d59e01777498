/** Types that a browser may show in place: none of them can run anything. Spec: §Serving inline content. */
const INLINE: ReadonlySet<string> = new Set([
  'text/css',
  'text/plain',
  'text/csv',
  'application/json',
  'application/ld+json',
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'video/quicktime',
  'audio/mp4',
  'audio/webm',
  'audio/aac',
  'audio/mpeg',
  'audio/ogg',
  'audio/wave',
  'audio/wav',
  'audio/x-wav',
  'audio/x-pn-wav',
  'audio/flac',
  'audio/x-flac',
])

export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'
const CONTENT_TYPE = /^[A-Za-z0-9!#$&^_.+-]{1,127}\/[A-Za-z0-9!#$&^_.+-]{1,127}(\s*;[\x20-\x7e]{0,200})?$/

/** The type to keep for an upload: what the client said if it is one, else the type for any bytes. */
export function contentTypeOf(header: string | undefined): string {
  return header !== undefined && CONTENT_TYPE.test(header) ? header : DEFAULT_CONTENT_TYPE
}

/** What every answer with others' bytes carries, so that a browser runs none of them. Spec: §Content repository. */
export function contentHeaders(content: {
  readonly contentType: string
  readonly fileName: string | null
}): Readonly<Record<string, string>> {
  const essence = (content.contentType.split(';')[0] ?? '').trim().toLowerCase()
  return {
    'content-type': content.contentType,
    'content-disposition': disposition(INLINE.has(essence) ? 'inline' : 'attachment', content.fileName),
    'content-security-policy':
      "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';",
    'cross-origin-resource-policy': 'cross-origin',
    'x-content-type-options': 'nosniff',
    'cache-control': 'private, max-age=31536000, immutable',
  }
}

/** RFC 6266: a plain name where it is one, else the extended form of RFC 8187. */
function disposition(kind: 'inline' | 'attachment', fileName: string | null): string {
  if (fileName === null || fileName === '') return kind
  const name = fileName.toWellFormed()
  if (/^[A-Za-z0-9!#$&+.^_`|~-]+$/.test(name)) return `${kind}; filename=${name}`
  if (/^[\x20-\x7e]*$/.test(name)) return `${kind}; filename="${name.replaceAll(/["\\]/g, '\\$&')}"`
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `${kind}; filename*=utf-8''${encoded}`
}

/**
 * Whether `If-None-Match` names this tag. RFC 9110 §13.1.2: weakly compared, as one of a list, or any.
 * @param tag with its quotes
 */
export function isKnownTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((item) => item.trim() === '*' || item.trim().replace(/^W\//, '') === tag)
}

/**
 * One range of a `Range` header. RFC 9110 §14.
 * @returns `undefined`: send all (none asked, several, or not understood; each of which a server may ignore); `'unsatisfiable'`: answer 416
 */
export function rangeOf(
  header: string | undefined,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const match = header === undefined ? null : /^bytes=(\d{0,16})-(\d{0,16})$/.exec(header.trim())
  if (!match) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes - 1 }
  }
  const start = Number(first)
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (last !== '' && Number(last) < start) return undefined
  return start >= sizeBytes ? 'unsatisfiable' : { start, end }
}

/** Longer names are no names of files. */
const MAX_FILE_NAME_LENGTH = 512

/**
 * The file name that a `Content-Disposition` of another server gives. RFC 6266: the extended form counts where both are there.
 * @returns without any path; `undefined` where there is none that can be shown
 */
export function fileNameIn(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 4 * MAX_FILE_NAME_LENGTH) return undefined
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^\s;"]+)/i.exec(header)?.[1]
  const plain = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(header)
  const name = decoded(extended) ?? plain?.[1]?.replaceAll(/\\(.)/g, '$1') ?? plain?.[2]
  const base = name?.replace(/^.*[/\\]/s, '').replaceAll(/\p{Cc}/gu, '')
  return base === undefined || base === '' || base.length > MAX_FILE_NAME_LENGTH ? undefined : base
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text)
  } catch (error) {
    // Malformed: as if it were not there.
    if (error instanceof URIError) return undefined
    throw error
  }
}
