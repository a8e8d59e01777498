import type { Collection, Row } from './contract.ts'
import { newDatastore, Order } from './order.ts'
import type { Pace } from './pace.ts'
import type { Key } from './rows.ts'

/** Up to so many rows an index is built in one go. */
const rowsAtOnce = 500

interface Building {
  readonly order: Order
  /** Set until all rows are in. */
  ready: Promise<void> | undefined
}

/**
 * The rows of one collection in one partition that are held in memory. `get` and `count` need no index; an index is built
 * when it is first asked for, so that opening costs nothing for those that are not.
 */
export class Table {
  readonly rows = new Map<Key, Row>()
  /** With so many rows, and where the collection is segmented, some should be sealed. */
  sealAt: number
  readonly #newPace: () => Pace
  readonly #orders = new Map<string, Building>()
  #datastore: ReturnType<typeof newDatastore> | undefined

  constructor(newPace: () => Pace, sealAt: number) {
    this.#newPace = newPace
    this.sealAt = sealAt
  }

  put(key: Key, row: Row): void {
    const before = this.rows.get(key)
    this.rows.set(key, row)
    for (const { order } of this.#orders.values()) {
      if (before) order.replace(before, row)
      else order.put(row)
    }
  }

  remove(key: Key): void {
    const before = this.rows.get(key)
    if (!before) return
    this.rows.delete(key)
    for (const { order } of this.#orders.values()) order.remove(before)
  }

  /** @returns the index when it is ready, else a promise of it */
  order(collection: Collection, field: string): Order | Promise<Order> {
    const building = this.#orders.get(field) ?? this.#build(collection, field)
    return building.ready ? building.ready.then(() => building.order) : building.order
  }

  #build(collection: Collection, field: string): Building {
    this.#datastore ??= newDatastore()
    const building: Building = { order: new Order(this.#datastore, field, collection.key), ready: undefined }
    this.#orders.set(field, building)
    if (this.rows.size <= rowsAtOnce) for (const row of this.rows.values()) building.order.put(row)
    else {
      building.ready = this.#fill(building.order).then(() => {
        building.ready = undefined
      })
    }
    return building
  }

  /** Changes made meanwhile reach the index as well; a row that comes twice is in it once. */
  async #fill(order: Order): Promise<void> {
    const pace = this.#newPace()
    for (const row of this.rows.values()) {
      order.put(row)
      if (pace.isDue) await pace.rest()
    }
  }
}
