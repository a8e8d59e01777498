import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob, containsWords, MAX_GLOB_LENGTH } from '../../server/protocol/glob.ts'

describe('appendices §Glob-style matching', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['a', 'a', true],
    ['a', 'A', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['**', 'x', true],
    ['?', '', false],
    ['?', 'x', true],
    ['?', '😀', true],
    ['??', '😀', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a*c', 'ac', true],
    ['a*c', 'abbbc', true],
    ['a*c', 'abcd', false],
    ['*.example.org', 'sub.example.org', true],
    ['*.example.org', 'example.org', false],
    ['lunc?*', 'lunch plans', true],
    ['lunc?*', 'lunch', true],
    ['lunc?*', ' lunch', false],
    ['lunc?*', 'lunc', false],
    ['ab*ba', 'aba', false],
    ['ab*ba', 'abba', true],
    ['a*b*c', 'a1b2b3c', true],
    ['a*b*c', 'a1c2b', false],
    ['[a]', 'a', false],
    ['[a]', '[a]', true],
    ['a.c', 'abc', false],
    ['*?*', '', false],
    ['*a?', 'aab', true],
  ])('%j on %j: %s', (pattern, text, expected) => {
    expect(compileGlob(pattern).matches(text)).toBe(expected)
  })

  it('agrees with a matcher that simply tries everything', () => {
    const slow = (pattern: string, text: string): boolean => {
      if (pattern === '') return text === ''
      if (pattern[0] === '*') return slow(pattern.slice(1), text) || (text !== '' && slow(pattern, text.slice(1)))
      return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && slow(pattern.slice(1), text.slice(1))
    }
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 40 })
    const texts = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 })
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        const short = pattern.slice(0, 10)
        expect(compileGlob(short).matches(text)).toBe(slow(short, text))
      }),
      { numRuns: 1_000 },
    )
  })

  it('agrees with a regular expression for words, also in patterns longer than 32 characters', () => {
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '*', '?', '!'), maxLength: 6 })
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '!', '_'), maxLength: 12 })
    fc.assert(
      fc.property(patterns, texts, (pattern, text) => {
        const source = [...pattern].map((c) => (c === '*' ? '[^]*' : c === '?' ? '[^]' : c)).join('')
        const expected = new RegExp(`(?:^|\\W|\\b)${source}(?:$|\\W|\\b)`).test(text)
        expect(compileGlob(pattern).matchesWords(text)).toBe(expected)
      }),
      { numRuns: 1_000 },
    )
    const long = `${'ab?'.repeat(30)}*z`
    expect(compileGlob(long).matchesWords(`x ${'abc'.repeat(30)} and z y`)).toBe(true)
    expect(compileGlob(long).matchesWords(`x ${'abc'.repeat(29)} and z y`)).toBe(false)
    expect(compileGlob(long).matches(`${'abc'.repeat(30)}z`)).toBe(true)
  })

  it('takes no more than a few passes over the text for patterns made to backtrack', () => {
    const text = `${'a'.repeat(60_000)}!`
    for (const pattern of [
      `${'a*'.repeat(500)}b`,
      `${'?*'.repeat(500)}b`,
      `${'a?'.repeat(500)}b`,
      `${'a'.repeat(1_000)}b`,
    ]) {
      const glob = compileGlob(pattern)
      expect(glob.matches(text)).toBe(false)
      expect(glob.matchesWords(text)).toBe(false)
    }
    expect(compileGlob(`${'*a'.repeat(500)}*!`).matches(text)).toBe(true)
    expect(compileGlob(`${'?*a'.repeat(300)}*!`).matchesWords(text)).toBe(true)
  })

  it('lets too long a pattern match nothing', () => {
    expect(compileGlob('a'.repeat(MAX_GLOB_LENGTH)).matches('a'.repeat(MAX_GLOB_LENGTH))).toBe(true)
    expect(compileGlob('*'.repeat(MAX_GLOB_LENGTH + 1)).matches('a')).toBe(false)
  })
})

describe('client-server-api §Push Rules: word boundaries', () => {
  it.each([
    ['ex*ple', 'an example event.', true],
    ['ex*ple', 'exple', true],
    ['ex*ple', 'an exciting triple-whammy', true],
    ['ex*ple', 'examples', false],
    ['cake', 'a cake!', true],
    ['cake', 'cakes', false],
    ['cake', 'cheesecake', false],
    ['cake', 'cake_', false],
    ['cake', 'cakes and cake', true],
    ['cake', 'ücake', true],
    ['cake', '蛋糕cake蛋糕', true],
    ['!ping', 'do !ping', true],
    ['@room', 'hey @room', true],
    ['a b', 'xa b a b', true],
    ['c?ke', 'some cøke', true],
    ['', 'anything', true],
    ['*', '', true],
  ])('%j in %j: %s', (pattern, text, expected) => {
    expect(compileGlob(pattern).matchesWords(text)).toBe(expected)
  })

  it('containsWords takes stars literally', () => {
    expect(containsWords('a * b', '*')).toBe(true)
    expect(containsWords('a b', '*')).toBe(false)
  })
})
