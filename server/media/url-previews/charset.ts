import { TextDecoder } from 'node:util'

/** How far into a page its own word on its encoding is looked for; the standard says 1,024 bytes, pages say more. */
const PRESCANNED_BYTES = 4_096

/**
 * The text of a page: by its byte order mark, what the header says, what the page says, else UTF-8, else windows-1252. Who
 * says UTF-8 and does not mean it is taken at the next one's word.
 * @param contentType the header, with its parameters
 */
export function decodeText(bytes: Uint8Array, contentType: string | undefined): string {
  const named = [byteOrderMark(bytes), charsetOf(contentType), declaredIn(bytes)].filter((label) => label !== undefined)
  const decoders = named.map(decoderOf).filter((decoder) => decoder !== undefined)
  for (const decoder of [...decoders, decoderOf('utf-8')]) {
    try {
      // A stream, because the last character may be cut in its middle.
      if (decoder) return decoder.decode(bytes, { stream: true })
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      // Not this one: the next.
    }
  }
  const saysUtf8 = decoders.some(({ encoding }) => encoding === 'utf-8')
  return new TextDecoder(saysUtf8 ? 'utf-8' : 'windows-1252').decode(bytes)
}

function byteOrderMark([a, b, c]: Uint8Array): string | undefined {
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8'
  if (a === 0xfe && b === 0xff) return 'utf-16be'
  return a === 0xff && b === 0xfe ? 'utf-16le' : undefined
}

function charsetOf(text: string | undefined): string | undefined {
  return /charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})/i.exec(text ?? '')?.[1]
}

function declaredIn(bytes: Uint8Array): string | undefined {
  const beginning = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, PRESCANNED_BYTES)).toString(
    'latin1',
  )
  for (const [tag] of beginning.matchAll(/<(?:meta|\?xml)\s[^>]{1,500}/gi)) {
    const label = charsetOf(tag) ?? /^<\?xml.*encoding\s*=\s*["']([A-Za-z0-9_:.-]{1,40})/i.exec(tag)?.[1]
    // A page in which this can be read is not in UTF-16, whatever it says. WHATWG HTML §Prescan.
    if (label !== undefined) return /^utf-?16/i.test(label) ? 'utf-8' : label
  }
  return undefined
}

function decoderOf(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(label, { fatal: true })
  } catch (cause) {
    // The only error there is: a label that names no encoding.
    if (cause instanceof RangeError) return undefined
    throw cause
  }
}
