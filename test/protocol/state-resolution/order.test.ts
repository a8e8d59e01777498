import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { heapBy } from '../../../server/protocol/state-resolution/heap.ts'
import { isLessId } from '../../../server/protocol/state-resolution/order.ts'

describe('rooms/v2 §Reverse topological power ordering: event IDs', () => {
  it('are compared by code points, not by UTF-16 code units', () => {
    expect(isLessId('$\uffff', '$\u{1f600}')).toBe(true)
    expect(isLessId('$\u{1f600}', '$\uffff')).toBe(false)
  })

  it('are compared as text otherwise', () => {
    const ascii = fc.string({ unit: 'binary-ascii', maxLength: 5 })
    fc.assert(fc.property(ascii, ascii, (a, b) => isLessId(a, b) === a < b))
  })
})

it('a heap gives its items out in order, also while others come in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (first, second) => {
      const heap = heapBy<number>((a, b) => a < b)
      for (const item of first) heap.push(item)
      const lowest = heap.pop()
      for (const item of second) heap.push(item)
      const rest: number[] = []
      for (let item = heap.pop(); item !== undefined; item = heap.pop()) rest.push(item)
      expect(lowest).toBe(first.length ? Math.min(...first) : undefined)
      const [, ...others] = first.toSorted((a, b) => a - b)
      expect(rest).toEqual([...others, ...second].toSorted((a, b) => a - b))
    }),
  )
})
