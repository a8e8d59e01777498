import type { Collection } from './contract.ts'

/** The collections that have been used, so that two cannot share a name by mistake. */
export class Declarations {
  readonly #byName = new Map<string, Collection>()

  find(name: string): Collection | undefined {
    return this.#byName.get(name)
  }

  /** @throws TypeError when the name was used for a collection that is declared otherwise */
  note(collection: Collection): void {
    const known = this.#byName.get(collection.name)
    if (known === collection) return
    const isSame =
      !known ||
      (known.place === collection.place &&
        known.key === collection.key &&
        Boolean(known.segmented) === Boolean(collection.segmented) &&
        known.indexes.join() === collection.indexes.join())
    if (!isSame) throw new TypeError(`${collection.name} is declared twice, and not the same`)
    this.#byName.set(collection.name, collection)
  }
}
