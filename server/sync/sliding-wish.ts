/**
 * What a request of sliding sync asks for, made ready for use. Spec: MSC4186 §Request Body.
 */
import { createHash } from 'node:crypto'
import type {
  SlidingFilters,
  SlidingList,
  SlidingRoomConfig,
  SlidingRoomExtension,
  SlidingSyncBody,
} from '../../shared/api/client/sync-msc4186.ts'
import { invalidParam } from '../../shared/matrix/errors.ts'
import { MAX_TO_DEVICE } from './device-section.ts'
import { MAX_TIMELINE_LIMIT } from './filter.ts'
import { CombinedState, RequiredState } from './sliding-required-state.ts'

/** As MSC4186 has them. */
const MAX_LISTS = 100
const MAX_SUBSCRIPTIONS = 100

/** What is told of a room: all rules together that it matches. */
export interface RoomConfig {
  /** The same for configs that say the same. */
  readonly key: string
  readonly timelineLimit: number
  readonly requiredState: CombinedState
  readonly includeHeroes: boolean
}

export interface WishedList {
  readonly name: string
  /** `undefined`: all rooms. */
  readonly ranges: readonly (readonly [number, number])[] | undefined
  readonly filters: SlidingFilters | undefined
  /** Names what the filters say. */
  readonly filterKey: string
}

/** Of which rooms an extension tells. */
export interface ExtensionScope {
  /** `null`: all. */
  readonly lists: ReadonlySet<string> | null
  readonly rooms: ReadonlySet<string> | null
}

export interface WishedExtensions {
  readonly toDevice: { readonly since: string | undefined; readonly limit: number } | undefined
  readonly e2ee: boolean
  readonly accountData: ExtensionScope | undefined
  readonly receipts: ExtensionScope | undefined
  readonly typing: ExtensionScope | undefined
}

/** Where a room stands: which lists it is in, and what is told of it. Rooms for which the same rules hold share one. */
export interface Place {
  /** Names. */
  readonly lists: readonly string[]
  readonly config: RoomConfig
  readonly rules: readonly Rule[]
  readonly next: Map<string, Place>
}

interface Rule {
  readonly key: string
  readonly timelineLimit: number
  readonly requiredState: RequiredState
  readonly includeHeroes: boolean
}

export class Wish {
  /** The same for requests that choose the same rooms in the same way. */
  readonly key: string
  readonly lists: readonly WishedList[]
  /** Room IDs. */
  readonly subscriptions: ReadonlySet<string>
  readonly extensions: WishedExtensions
  readonly #extensionsKey: string
  readonly #rules = new Map<string, Rule>()
  /** Of rooms that no rule holds for. */
  readonly nowhere: Place = { lists: [], config: combine([]), rules: [], next: new Map() }

  /** @throws MatrixError 400 M_INVALID_PARAM for more lists or subscriptions than there may be, or a range that ends before it begins */
  constructor(body: SlidingSyncBody, userId: string) {
    const { lists = {}, room_subscriptions: subscriptions = {}, extensions = {} } = body
    if (Object.keys(lists).length > MAX_LISTS) throw invalidParam(`There are more than ${MAX_LISTS} lists`)
    if (Object.keys(subscriptions).length > MAX_SUBSCRIPTIONS) {
      throw invalidParam(`There are more than ${MAX_SUBSCRIPTIONS} room subscriptions`)
    }
    this.key = digest([lists, subscriptions])
    this.lists = Object.entries(lists).map(([name, list]) => wishedList(name, list))
    for (const [name, list] of Object.entries(lists)) this.#rules.set(`list ${name}`, ruleOf(list, userId))
    this.subscriptions = new Set(Object.keys(subscriptions))
    for (const [roomId, config] of Object.entries(subscriptions)) {
      this.#rules.set(`room ${roomId}`, ruleOf(config, userId))
    }
    this.#extensionsKey = digest({ ...extensions, to_device: undefined })
    const { to_device: toDevice, e2ee, account_data: accountData, receipts, typing } = extensions
    this.extensions = {
      toDevice: toDevice?.enabled
        ? { since: toDevice.since ?? undefined, limit: Math.min(toDevice.limit ?? MAX_TO_DEVICE, MAX_TO_DEVICE) }
        : undefined,
      e2ee: e2ee?.enabled === true,
      accountData: scopeOf(accountData),
      receipts: scopeOf(receipts),
      typing: scopeOf(typing),
    }
  }

  /** Whether it chooses the same rooms, and asks for the same of them; messages to the device aside. */
  isSameAs(other: Wish): boolean {
    return this.key === other.key && this.#extensionsKey === other.#extensionsKey
  }

  /** What is told of a room that one more rule holds for, beyond those that made up a place. */
  withList(place: Place, name: string): Place {
    return this.#with(place, `list ${name}`, [...place.lists, name])
  }

  withSubscription(place: Place, roomId: string): Place {
    return this.#with(place, `room ${roomId}`, place.lists)
  }

  #with(place: Place, rule: string, lists: readonly string[]): Place {
    let next = place.next.get(rule)
    if (!next) {
      const rules = [...place.rules, this.#rules.get(rule) as Rule]
      next = { lists, rules, config: combine(rules), next: new Map() }
      place.next.set(rule, next)
    }
    return next
  }
}

/** What a client has to know of a room that it need not know any more. */
export function leastConfig(userId: string): RoomConfig {
  const own = new RequiredState([['m.room.member', '$ME']], userId)
  return { key: '', timelineLimit: 1, requiredState: new CombinedState([own]), includeHeroes: false }
}

const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('base64url')

function wishedList(name: string, { ranges, range, filters }: SlidingList): WishedList {
  const all = range ? [...(ranges ?? []), range] : ranges
  for (const [first, last] of all ?? []) {
    if (last < first) throw invalidParam(`A range of the list '${name.slice(0, 100)}' ends before it begins`)
  }
  return { name, ranges: all, filters: filters ?? undefined, filterKey: digest(filters ?? {}) }
}

function ruleOf(
  { timeline_limit: limit, required_state: state, include_heroes: heroes }: SlidingRoomConfig,
  userId: string,
): Rule {
  return {
    key: digest(state),
    timelineLimit: Math.min(limit, MAX_TIMELINE_LIMIT),
    requiredState: new RequiredState(state, userId),
    includeHeroes: heroes !== false,
  }
}

function combine(rules: readonly Rule[]): RoomConfig {
  const keys = [...new Set(rules.map(({ key }) => key))].sort()
  return {
    key: keys.length === 1 ? (keys[0] as string) : digest(keys),
    timelineLimit: Math.max(0, ...rules.map(({ timelineLimit }) => timelineLimit)),
    requiredState: new CombinedState(rules.map(({ requiredState }) => requiredState)),
    includeHeroes: rules.some(({ includeHeroes }) => includeHeroes),
  }
}

function scopeOf(extension: SlidingRoomExtension | undefined): ExtensionScope | undefined {
  if (!extension?.enabled) return undefined
  const named = (names: readonly string[] | null | undefined): ReadonlySet<string> | null =>
    !names || names.includes('*') ? null : new Set(names)
  return { lists: named(extension.lists), rooms: named(extension.rooms) }
}
