import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CanonicalJsonError,
  canonicalJson,
  canonicalJsonWithout,
  checkCanonicalJson,
} from '../../server/protocol/canonical-json.ts'
import { ExactNumber, MAX_JSON_DEPTH, numberOf, parseJson } from '../../server/protocol/json.ts'
import type { Json } from '../../server/protocol/pdu.ts'

describe('appendices §Canonical JSON, Examples', () => {
  it.each([
    ['{}', '{}'],
    ['{ "one": 1, "two": "Two" }', '{"one":1,"two":"Two"}'],
    ['{ "b": "2", "a": "1" }', '{"a":"1","b":"2"}'],
    ['{"b":"2","a":"1"}', '{"a":"1","b":"2"}'],
    [
      `{ "auth": { "success": true, "mxid": "@john.doe:example.com", "profile": { "display_name": "John Doe",
        "three_pids": [ { "medium": "email", "address": "john.doe@example.org" },
        { "medium": "msisdn", "address": "123456789" } ] } } }`,
      '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ],
    ['{ "a": "日本語" }', '{"a":"日本語"}'],
    ['{ "本": 2, "日": 1 }', '{"日":1,"本":2}'],
    ['{ "a": "\\u65E5" }', '{"a":"日"}'],
    ['{ "a": null }', '{"a":null}'],
    ['{ "a": -0, "b": 1e10 }', '{"a":0,"b":10000000000}'],
  ])('%s', (given, canonical) => {
    expect(canonicalJson(JSON.parse(given))).toBe(canonical)
  })
})

describe('appendices §Canonical JSON, Grammar', () => {
  it('escapes what must be escaped, in the shortest way, and nothing else', () => {
    const controls = Array.from({ length: 0x20 }, (_, i) => String.fromCharCode(i)).join('')
    expect(canonicalJson(`${controls}"\\/\u007f\u2028😀`)).toBe(
      '"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f\\"\\\\/\u007f\u2028😀"',
    )
  })

  it('sorts keys by code point, not by UTF-16 unit', () => {
    const text = canonicalJson({ '\u{1f600}': 1, '\uffee': 2, '\ue000': 3, z: 4, 'a\u{10000}': 5, 'a\uffff': 6, a: 7 })
    expect(text).toBe('{"a":7,"a\uffff":6,"a\u{10000}":5,"z":4,"\ue000":3,"\uffee":2,"\u{1f600}":1}')
  })

  it('sorts keys that look like integers as text', () => {
    expect(canonicalJson({ 10: 1, 9: 2, '-1': 3, b: 4 })).toBe('{"-1":3,"10":1,"9":2,"b":4}')
  })

  it('keeps __proto__ and constructor as the plain data that they are', () => {
    const text = '{"__proto__":{"polluted":true},"constructor":1,"toString":null}'
    expect(canonicalJson(parseJson(text))).toBe(text)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it.each([
    ['a float', 1.5],
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['an integer above 2^53−1', 2 ** 53],
    ['an integer below −(2^53−1)', -(2 ** 53)],
    ['a lone surrogate', 'a\ud800'],
    ['a surrogate pair in wrong order', '\udc00\ud800'],
    ['undefined', undefined],
    ['a function', () => 1],
    ['a bigint', 1n],
  ])('refuses %s, wherever it stands', (_name, value) => {
    for (const holder of [value, [value], { a: { b: [value] } }]) {
      expect(() => canonicalJson(holder as Json)).toThrow(CanonicalJsonError)
      expect(checkCanonicalJson(holder as Json).ok).toBe(false)
    }
  })

  it('refuses a key with a lone surrogate', () => {
    expect(() => canonicalJson({ '\ud800': 1 })).toThrow(CanonicalJsonError)
    expect(checkCanonicalJson({ '\ud800': 1 }).ok).toBe(false)
  })

  it('takes the greatest and least integers', () => {
    expect(canonicalJson([2 ** 53 - 1, -(2 ** 53) + 1])).toBe('[9007199254740991,-9007199254740991]')
  })

  it('names the fault of 100,000 levels of nesting instead of overflowing the stack', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ]) {
      const deep = parseJson(`${open?.repeat(100_000)}1${close?.repeat(100_000)}`)
      expect(() => canonicalJson(deep)).toThrow(/nested too deeply/)
      expect(checkCanonicalJson(deep)).toEqual({ ok: false, why: 'JSON is nested too deeply' })
      expect(() => canonicalJson(deep, false)).toThrow(CanonicalJsonError)
    }
  })

  it('takes nesting up to the limit', () => {
    const text = `${'['.repeat(MAX_JSON_DEPTH)}${']'.repeat(MAX_JSON_DEPTH)}`
    expect(canonicalJson(parseJson(text))).toBe(text)
    expect(checkCanonicalJson(parseJson(text)).ok).toBe(true)
  })

  it('leaves out top-level keys only', () => {
    expect(canonicalJsonWithout({ b: { a: 1 }, a: 2 }, new Set(['a']))).toBe('{"b":{"a":1}}')
  })
})

describe('rooms/v1 §Canonical JSON: numbers that are not strictly allowed', () => {
  // What Python's json module writes, as Synapse uses it.
  it.each([
    ['1.0', '1.0'],
    ['1e10', '10000000000.0'],
    ['1E5', '100000.0'],
    ['-0', '0'],
    ['-0.0', '-0.0'],
    ['0.0', '0.0'],
    ['1e22', '1e+22'],
    ['1e16', '1e+16'],
    ['123456789012345680.0', '1.2345678901234568e+17'],
    ['1234567890123456.0', '1234567890123456.0'],
    ['1e-5', '1e-05'],
    ['0.0001', '0.0001'],
    ['1.5e300', '1.5e+300'],
    ['5e-324', '5e-324'],
    ['12345678901234567890', '12345678901234567890'],
    ['-9007199254740993', '-9007199254740993'],
    ['9007199254740991', '9007199254740991'],
    ['0.1', '0.1'],
  ])('writes %s as %s', (given, canonical) => {
    expect(canonicalJson(parseJson(`{"a":[${given}]}`), false)).toBe(`{"a":[${canonical}]}`)
    expect(canonicalJson(parseJson(given), false)).toBe(canonical)
  })

  it('writes numbers that were parsed without care as well as it can', () => {
    expect(canonicalJson([1.5, 2 ** 60, 1e300], false)).toBe(`[1.5,1152921504606846976,${BigInt(1e300)}]`)
  })

  it('refuses floats beyond what a double holds', () => {
    expect(() => canonicalJson(parseJson('[1e400]'), false)).toThrow(CanonicalJsonError)
    expect(checkCanonicalJson(parseJson('[1e400]'), false).ok).toBe(false)
  })

  it.each(['1.0', '1e2', '9007199254740992', '12345678901234567890'])('refuses %s from room version 6 on', (number) => {
    expect(() => canonicalJson(parseJson(`{"a":${number}}`))).toThrow(CanonicalJsonError)
    expect(checkCanonicalJson(parseJson(`{"a":${number}}`)).ok).toBe(false)
  })
})

describe('parseJson', () => {
  it('keeps the text of numbers that JavaScript cannot hold, through JSON.stringify and back', () => {
    const text = '{"a":1.0,"b":[1e5,12345678901234567890,-1.50],"c":"1.0, 2e5: 3.5","d":7}'
    expect(JSON.stringify(parseJson(text))).toBe(text)
    expect(JSON.stringify(parseJson(' 1.0'))).toBe('1.0')
  })

  it('lets them count as numbers', () => {
    const { a, b } = parseJson('{"a":50.57,"b":9223372036854775807}') as { a: Json; b: Json }
    expect(a).toBeInstanceOf(ExactNumber)
    expect(numberOf(a)).toBe(50.57)
    expect(Math.max(Number(a), 3)).toBe(50.57)
    expect(numberOf(b)).toBe(2 ** 63)
    expect(numberOf(7)).toBe(7)
    expect(numberOf('7')).toBeUndefined()
  })

  it('leaves numbers alone that are exact', () => {
    expect(parseJson('[1,-2,9007199254740991,1234567890123456]')).toEqual([1, -2, 9007199254740991, 1234567890123456])
  })

  it('is not fooled by an object that looks like a raw number', () => {
    expect(parseJson('[{"rawJSON":"1"},1.0]')).toEqual([{ rawJSON: '1' }, new ExactNumber('1.0')])
  })

  it('says that text is nested too deeply, or no JSON', () => {
    expect(() => parseJson(`${'['.repeat(100_000)}1.0${']'.repeat(100_000)}`)).toThrow(SyntaxError)
    expect(() => parseJson('{"a":1.0')).toThrow(SyntaxError)
  })
})

/** JSON values with integers only, nasty keys included. */
const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .array(
        fc.tuple(
          fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', '1', '10', 'constructor')),
          tie('value'),
        ),
        {
          maxLength: 6,
        },
      )
      .map((entries) => Object.fromEntries(entries) as Json),
  ),
})).value

describe('properties of canonical JSON', () => {
  const codePoints = (text: string): readonly number[] => Array.from(text, (character) => character.codePointAt(0) ?? 0)
  const isInOrder = (a: string, b: string): boolean => {
    const left = codePoints(a)
    const right = codePoints(b)
    for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
      if (left[i] !== right[i]) return (left[i] ?? 0) < (right[i] ?? 0)
    }
    return left.length < right.length
  }

  it('reads back as the same value', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
        // -0 is the one number that is written as another.
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(checkCanonicalJson(value).ok).toBe(true)
      }),
    )
  })

  it('does not depend on the order of keys, and writes them in order of code points', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 12 }), (keys) => {
        const forward = Object.fromEntries(keys.map((key) => [key, 1]))
        const backward = Object.fromEntries([...keys].reverse().map((key) => [key, 1]))
        const text = canonicalJson(forward)
        expect(canonicalJson(backward)).toBe(text)
        const written = [...text.matchAll(/("(?:[^"\\]|\\.)*"):/gs)].map(
          (found) => JSON.parse(found[1] ?? '') as string,
        )
        expect(written).toHaveLength(keys.length)
        for (let i = 1; i < written.length; i += 1) expect(isInOrder(written[i - 1] ?? '', written[i] ?? '')).toBe(true)
      }),
    )
  })
})
