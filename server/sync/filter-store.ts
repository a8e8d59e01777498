/**
 * Filters that clients have uploaded. Spec: data/api/client-server/filter.yaml.
 */
import type { Filter } from '../../shared/api/client/filter.ts'
import { invalidParam, notFound, tooLarge } from '../../shared/matrix/errors.ts'
import { collection, put, type Row, remove, type Store } from '../store/index.ts'
import { compileFilter, filterHash, isFilter, NO_FILTER, type SyncFilter } from './filter.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'

/** Each account keeps so many filters; a new one then takes the place of the oldest, and there is no way to delete one. */
const MAX_FILTERS_OF_USER = 500
/** Of a filter's JSON text. */
const MAX_FILTER_LENGTH = 16_384
const COMPILED_IN_MEMORY = 512

type FilterRow = Row & { id: string; userId: string; json: string; position: number }
const filterRows = collection<FilterRow>({ name: 'filters', place: 'home', key: 'id', indexes: ['userId'] })

export interface Filters {
  /**
   * Keeps a filter. The same filter gets the same ID again.
   * @returns its ID
   * @throws MatrixError 413 M_TOO_LARGE
   */
  define(userId: string, filter: Filter): Promise<string>
  /** @throws MatrixError 404 M_NOT_FOUND */
  get(userId: string, filterId: string): Promise<Filter>
  /**
   * What a request names as its filter: JSON where it begins with `{`, else the ID of a stored one.
   * @throws MatrixError 400 M_INVALID_PARAM
   */
  resolve(userId: string, filter: string | undefined): Promise<SyncFilter>
}

const rowId = (userId: string, filterId: string): string => JSON.stringify([userId, filterId])

export function createFilters(store: Store): Filters {
  /** By row ID or, for those within requests, by their text. */
  const compiled = new LeastRecentlyUsed<string, SyncFilter>(COMPILED_IN_MEMORY)

  async function find(userId: string, filterId: string): Promise<Filter | undefined> {
    const row = await store.home.get(filterRows, rowId(userId, filterId))
    return row && (JSON.parse(row.json) as Filter)
  }

  function parseInline(text: string): SyncFilter {
    if (text.length > MAX_FILTER_LENGTH) throw invalidParam('The filter is too long')
    let filter: unknown
    try {
      filter = JSON.parse(text)
    } catch {
      // Only what cannot be read ends here.
      throw invalidParam('The filter is not JSON')
    }
    if (!isFilter(filter)) throw invalidParam('The filter is not valid')
    return compileFilter(filter)
  }

  return {
    async define(userId, filter) {
      const json = JSON.stringify(filter)
      if (json.length > MAX_FILTER_LENGTH) throw tooLarge('The filter is too large')
      const filterId = filterHash(filter)
      const id = rowId(userId, filterId)
      await store.exclusive(`filters ${userId}`, async () => {
        if (await store.home.get(filterRows, id)) return
        const kept = await store.home.range(filterRows, { index: 'userId', from: userId, to: `${userId}\u0000` })
        const oldest = kept
          .toSorted((a, b) => a.position - b.position)
          .slice(0, Math.max(0, kept.length + 1 - MAX_FILTERS_OF_USER))
        for (const row of oldest) compiled.delete(row.id)
        await store.commit((position) => [
          put(filterRows, { id, userId, json, position }),
          ...oldest.map((row) => remove(filterRows, row.id)),
        ])
      })
      return filterId
    },

    async get(userId, filterId) {
      const filter = await find(userId, filterId)
      if (!filter) throw notFound('There is no such filter')
      return filter
    },

    async resolve(userId, filter) {
      if (filter === undefined || filter === '') return NO_FILTER
      const isInline = filter.startsWith('{')
      const key = isInline ? filter : rowId(userId, filter)
      const known = compiled.get(key)
      if (known) return known
      let made: SyncFilter
      if (isInline) made = parseInline(filter)
      else {
        const stored = await find(userId, filter)
        if (!stored) throw invalidParam('There is no such filter')
        made = compileFilter(stored)
      }
      compiled.set(key, made)
      return made
    },
  }
}
