import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listPromises, readKept } from './promises.ts'

const root = join(import.meta.dirname, '../..')
const texts = new Map<string, string>()

/** Is there such a test? The name is its own `it`, word for word, so that one that is renamed is found missing. */
function isThere(test: string): boolean {
  const [file = '', name = ''] = test.split(' › ')
  if (!texts.has(file)) texts.set(file, readFileSync(join(root, file), 'utf8'))
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  // Behind `it(`, `it.each(…)(` or `)<T>(`; what a `describe` is called is no test.
  const call = new RegExp(`(?:\\bit|\\)|\\])\\(\\s*(['"\`])${escaped}\\1,\\s*(?:async\\s*)?\\(`)
  return name !== '' && call.test(texts.get(file) ?? '')
}

describe('client-server-api, what its text says must or should be', () => {
  it.each([...listPromises()])('%s', (list, promises) => {
    const kept = readKept(list)
    const ids = new Set(promises.map(({ id }) => id))
    expect(promises.filter(({ id }) => kept[id] === undefined)).toEqual([])
    expect(Object.keys(kept).filter((id) => !ids.has(id))).toEqual([])
    for (const [id, answer] of Object.entries(kept)) {
      expect(answer.says, id).not.toBe('')
      if ('because' in answer) expect(answer.because, id).not.toBe('')
      else {
        expect(answer.tests, id).not.toEqual([])
        expect(
          answer.tests.filter((test) => !isThere(test)),
          id,
        ).toEqual([])
      }
    }
  })
})
