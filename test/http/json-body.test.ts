import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_JSON_DEPTH, parseJsonBody } from '../../server/http/json-body.ts'
import { MatrixError } from '../../shared/matrix/errors.ts'

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? 1 + Math.max(0, ...Object.values(value as Record<string, unknown>).map(depthOf))
    : 0
const errcodeOf = (text: string): string | undefined => {
  try {
    parseJsonBody(Buffer.from(text))
    return undefined
  } catch (error) {
    return error instanceof MatrixError ? error.errcode : String(error)
  }
}

describe('client-server-api §Common error codes, M_NOT_JSON and M_BAD_JSON', () => {
  it('gives JSON back as JSON.parse does, with escapes and without', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'grapheme', maxDepth: 8 }), (text) => {
        // Numbers beyond 2^53 - 1 are refused, and have a test of their own.
        fc.pre(!/\de\+\d|\d{16}/.test(text))
        expect(parseJsonBody(Buffer.from(text))).toEqual(JSON.parse(text))
        const escaped = text.replace(
          /[^\x20-\x7e]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
        )
        expect(parseJsonBody(Buffer.from(escaped))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('never fails otherwise, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[[\]{}",:\\ud8eE0-9.+-]{0,40}$/)),
        (text) => {
          expect([undefined, 'M_NOT_JSON', 'M_BAD_JSON']).toContain(errcodeOf(text))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('refuses every number that JavaScript would change into another integer or none', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 30n), 10n ** 30n), (integer) => {
        const isSafe = integer >= -(2n ** 53n - 1n) && integer <= 2n ** 53n - 1n
        expect(errcodeOf(`{"a":[${integer}]}`)).toBe(isSafe ? undefined : 'M_BAD_JSON')
      }),
    )
    for (const text of ['1e16', '1E+16', '-1e309', '9007199254740992', '0.1e18'])
      expect(errcodeOf(text)).toBe('M_BAD_JSON')
    for (const text of ['1e15', '0.1', '-0', '5e-324', '123456789.123456789123'])
      expect(errcodeOf(text)).toBeUndefined()
  })

  it('takes as many levels as it says, and no more', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
    expect(depthOf(parseJsonBody(Buffer.from(nested(MAX_JSON_DEPTH))))).toBe(MAX_JSON_DEPTH)
    expect(errcodeOf(nested(MAX_JSON_DEPTH + 1))).toBe('M_BAD_JSON')
    expect(errcodeOf(`"${nested(MAX_JSON_DEPTH + 1)}"`)).toBeUndefined()
  })
})
