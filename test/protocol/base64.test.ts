import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64, encodeBase64Url } from '../../server/protocol/base64.ts'

describe('appendices §Unpadded Base64', () => {
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
  ])('encodes %j as %j, and decodes it with and without padding', (text, encoded) => {
    expect(encodeBase64(Buffer.from(text))).toBe(encoded)
    expect(decodeBase64(encoded)?.toString()).toBe(text)
    expect(decodeBase64(Buffer.from(text).toString('base64'))?.toString()).toBe(text)
  })

  it('has a URL-safe alphabet, and reads both', () => {
    const bytes = Uint8Array.from([0xfb, 0xff, 0xfe])
    expect(encodeBase64(bytes)).toBe('+//+')
    expect(encodeBase64Url(bytes)).toBe('-__-')
    expect(decodeBase64('+//+')).toEqual(Buffer.from(bytes))
    expect(decodeBase64('-__-')).toEqual(Buffer.from(bytes))
  })

  it('encodes a view of a larger buffer, and no more', () => {
    expect(encodeBase64(new Uint8Array([1, 2, 3, 4]).subarray(1, 3))).toBe('AgM')
  })

  it.each(['a', 'Zg===', 'Zm 9v', 'Zm9v!', 'Zg=x', 'é'])('refuses %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })
})
