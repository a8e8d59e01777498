import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldPicker } from '../../server/sync/event-fields.ts'
import { EventMatcher } from '../../server/sync/event-matcher.ts'

describe('definitions/event_filter.yaml: types with wildcards', () => {
  it.each([
    ['m.room.*', 'm.room.message', true],
    ['m.room.*', 'm.room', false],
    ['*', '', true],
    ['*.message', 'm.room.message', true],
    ['m.*.message', 'm.message', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'axxbyyc', true],
    ['a*b*b', 'ab', false],
    ['m.room.?', 'm.room.x', false],
    ['m.room.[a]', 'm.room.a', false],
  ])('%s and %s: %s', (pattern, type, expected) => {
    expect(new EventMatcher({ types: [pattern] }).passesType(type)).toBe(expected)
    expect(new EventMatcher({ not_types: [pattern] }).passesType(type)).toBe(!expected)
  })

  it('agrees with the same pattern as a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 })
    fc.assert(
      fc.property(pattern, text, (glob, type) => {
        const source = glob
          .split('*')
          .map((part) => part.replaceAll('.', '\\.'))
          .join('.*')
        expect(new EventMatcher({ types: [glob] }).passesType(type)).toBe(new RegExp(`^${source}$`).test(type))
      }),
    )
  })

  it('takes a short time for patterns and types made to take a long one', () => {
    const matcher = new EventMatcher({ types: [`${'*a'.repeat(500)}*b`] })
    expect(matcher.passesType('a'.repeat(5_000))).toBe(false)
  })

  it('judges senders, urls and rooms, exclusions first', () => {
    const matcher = new EventMatcher({
      senders: ['@a:x', '@b:x'],
      not_senders: ['@b:x'],
      contains_url: true,
      rooms: ['!r', '!s'],
      not_rooms: ['!s'],
    })
    expect(matcher.passes({ type: 't', sender: '@a:x', content: { url: 1 } })).toBe(true)
    expect(matcher.passes({ type: 't', sender: '@b:x', content: { url: 1 } })).toBe(false)
    expect(matcher.passes({ type: 't', sender: '@a:x', content: {} })).toBe(false)
    expect([matcher.passesRoom('!r'), matcher.passesRoom('!s'), matcher.passesRoom('!t')]).toEqual([true, false, false])
  })
})

describe('appendices §Dot-separated property paths: event_fields', () => {
  it.each([
    [['type'], { type: 't', content: {} }, { type: 't' }],
    [['content'], { type: 't', content: { a: { b: 1 } } }, { content: { a: { b: 1 } } }],
    [['content.a.b'], { content: { a: { b: 1, c: 2 } } }, { content: { a: { b: 1 } } }],
    [['content.a\\.b'], { content: { 'a.b': 1, a: { b: 2 } } }, { content: { 'a.b': 1 } }],
    [['content.a\\\\b'], { content: { 'a\\b': 1 } }, { content: { 'a\\b': 1 } }],
    [['content.\\x'], { content: { '\\x': 1 } }, { content: { '\\x': 1 } }],
    [['content.a', 'content'], { content: { a: 1, b: 2 } }, { content: { a: 1, b: 2 } }],
    [['content.a.b'], { content: { a: 'text' } }, {}],
    [['__proto__'], { type: 't' }, {}],
  ])('%j of %j', (paths, event, expected) => {
    expect(JSON.parse(fieldPicker(paths)(JSON.stringify(event)))).toEqual(expected)
  })
})
