/** A binary heap: takes out the least item, by a given order, in logarithmic time. */
export interface Heap<T> {
  push(item: T): void
  /** The least item, which stays. */
  peek(): T | undefined
  /** Takes out the least item. */
  pop(): T | undefined
}

/** @param isLess a strict total order; where it leaves a tie, either may come first */
export function heapBy<T>(isLess: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = []
  const at = (index: number): T => items[index] as T

  function rise(from: number): void {
    const item = at(from)
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isLess(item, at(parent))) break
      items[index] = at(parent)
      index = parent
    }
    items[index] = item
  }

  function sink(item: T): void {
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= items.length) break
      if (child + 1 < items.length && isLess(at(child + 1), at(child))) child += 1
      if (!isLess(at(child), item)) break
      items[index] = at(child)
      index = child
    }
    items[index] = item
  }

  return {
    push(item) {
      items.push(item)
      rise(items.length - 1)
    },
    peek: () => items[0],
    pop() {
      const least = items[0]
      const last = items.pop()
      if (items.length > 0) sink(last as T)
      return least
    },
  }
}
