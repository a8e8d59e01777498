/**
 * What one part of a filter lets through. Spec: client-server-api §Filtering; definitions/event_filter.yaml and
 * definitions/room_event_filter.yaml. An exclusion is stronger than an inclusion; an empty list includes nothing.
 */
import type { EventFilter, RoomEventFilter } from '../../shared/api/client/filter.ts'
import type { JsonObject } from '../protocol/pdu.ts'

/** What a filter looks at. Ephemeral events and account data have no sender. */
export interface Matchable {
  readonly type: string
  readonly sender?: string
  readonly content?: JsonObject
}

type TypeTest = (type: string) => boolean

export class EventMatcher {
  /** How many events at most, where the filter says so. */
  readonly limit: number | undefined
  readonly lazyLoadMembers: boolean
  readonly includeRedundantMembers: boolean
  readonly unreadThreadNotifications: boolean
  /** Lets every event pass, whatever it is. */
  readonly passesAllEvents: boolean
  /** Lets no event pass at all. */
  readonly passesNothing: boolean
  readonly #types: TypeTest | undefined
  readonly #notTypes: TypeTest | undefined
  readonly #senders: ReadonlySet<string> | undefined
  readonly #notSenders: ReadonlySet<string> | undefined
  readonly #rooms: ReadonlySet<string> | undefined
  readonly #notRooms: ReadonlySet<string> | undefined
  readonly #containsUrl: boolean | undefined

  constructor(filter: EventFilter & RoomEventFilter = {}) {
    this.limit = filter.limit
    this.lazyLoadMembers = filter.lazy_load_members === true
    this.includeRedundantMembers = filter.include_redundant_members === true
    this.unreadThreadNotifications = filter.unread_thread_notifications === true
    this.#types = filter.types && typeTest(filter.types)
    this.#notTypes = filter.not_types?.length ? typeTest(filter.not_types) : undefined
    this.#senders = filter.senders && new Set(filter.senders)
    this.#notSenders = filter.not_senders?.length ? new Set(filter.not_senders) : undefined
    this.#rooms = filter.rooms && new Set(filter.rooms)
    this.#notRooms = filter.not_rooms?.length ? new Set(filter.not_rooms) : undefined
    this.#containsUrl = filter.contains_url
    this.passesAllEvents =
      !this.#types && !this.#notTypes && !this.#senders && !this.#notSenders && this.#containsUrl === undefined
    this.passesNothing =
      filter.types?.length === 0 ||
      filter.senders?.length === 0 ||
      filter.rooms?.length === 0 ||
      filter.not_types?.includes('*') === true
  }

  passesRoom(roomId: string): boolean {
    if (this.#notRooms?.has(roomId)) return false
    return this.#rooms === undefined || this.#rooms.has(roomId)
  }

  passes({ type, sender, content }: Matchable): boolean {
    if (this.passesAllEvents) return true
    return this.passesType(type) && this.#passesSender(sender) && this.#passesUrl(content)
  }

  passesType(type: string): boolean {
    if (this.#notTypes?.(type)) return false
    return this.#types === undefined || this.#types(type)
  }

  /** What has no sender, such as typing notifications, is not judged by it. */
  #passesSender(sender: string | undefined): boolean {
    if (sender === undefined) return true
    if (this.#notSenders?.has(sender)) return false
    return this.#senders === undefined || this.#senders.has(sender)
  }

  #passesUrl(content: JsonObject | undefined): boolean {
    if (this.#containsUrl === undefined || content === undefined) return true
    return Object.hasOwn(content, 'url') === this.#containsUrl
  }
}

/** Exact types by a lookup, patterns with `*` one after the other. */
function typeTest(types: readonly string[]): TypeTest {
  const exact = new Set(types.filter((type) => !type.includes('*')))
  const patterns = types.filter((type) => type.includes('*')).map((pattern) => pattern.split('*'))
  if (patterns.length === 0) return (type) => exact.has(type)
  return (type) => exact.has(type) || patterns.some((parts) => matchesParts(parts, type))
}

/** Whether the text consists of the parts in their order, with anything between them. Takes each part at its first place. */
function matchesParts(parts: readonly string[], text: string): boolean {
  const first = parts[0] as string
  const last = parts.at(-1) as string
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found === -1 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
