/** Unpadded Base64. Spec: appendices §Unpadded Base64, §URL-safe unpadded Base64. */

const ALPHABETS = /^[0-9A-Za-z+/_-]*={0,2}$/

/** Standard alphabet, no padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return stripPadding(asBuffer(bytes).toString('base64'))
}

/** URL-safe alphabet, no padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64url')
}

/**
 * Decodes either alphabet, with or without padding, as the specification asks of readers.
 * @returns `undefined` for text that is not Base64
 */
export function decodeBase64(text: string): Buffer | undefined {
  if (!ALPHABETS.test(text)) return undefined
  const length = stripPadding(text).length
  return length % 4 === 1 ? undefined : Buffer.from(text, 'base64')
}

function stripPadding(text: string): string {
  const end = text.indexOf('=')
  return end === -1 ? text : text.slice(0, end)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
