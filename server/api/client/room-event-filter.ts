import { Compile } from 'typebox/compile'
import { RoomEventFilter } from '../../../shared/api/client/filter.ts'
import { badJson, notJson } from '../../../shared/matrix/errors.ts'
import type { TimelineFilter } from '../../rooms/index.ts'
import { EventMatcher } from '../../sync/index.ts'

// Compiled at its first use.
const compile = () => Compile(RoomEventFilter)
let validator: ReturnType<typeof compile> | undefined

/**
 * The filter that a query parameter holds as JSON; without one everything passes.
 * @throws MatrixError 400 M_NOT_JSON, M_BAD_JSON
 */
export function parseRoomEventFilter(text: string | undefined): TimelineFilter {
  if (text === undefined) return new EventMatcher()
  let filter: unknown
  try {
    filter = JSON.parse(text)
  } catch (cause) {
    throw Object.assign(notJson('The filter is not JSON'), { cause })
  }
  validator ??= compile()
  if (!validator.Check(filter)) throw badJson('The filter is not a filter of events')
  return new EventMatcher(filter)
}
