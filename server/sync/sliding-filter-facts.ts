/**
 * What filters of sliding sync ask about rooms: kind, encryption, name, the children of spaces. From memory for rooms in which
 * nothing happened since.
 */
import { isJsonObject } from '../protocol/json.ts'
import type { JsonObject } from '../protocol/pdu.ts'
import type { MembershipEntry, RoomsForReaders, StateView } from '../rooms/index.ts'
import { LeastRecentlyUsed } from './least-recently-used.ts'
import { openIfKept } from './other-rooms.ts'

const MAX_ROOMS = 20_000
/** Children of a space, and spaces, that are remembered. */
const MAX_SPACES = 500

export interface FilterFacts {
  /** `type` of the create event; `null` for ordinary rooms. */
  readonly type: string | null
  readonly isEncrypted: boolean
  readonly name: string
}

const NO_FACTS: FilterFacts = { type: null, isEncrypted: false, name: '' }

interface AsOf<T> {
  /** The room's last change when it was read. */
  readonly change: number
  readonly value: T
}

export class FilterFactsCache {
  readonly #rooms: RoomsForReaders
  readonly #facts = new LeastRecentlyUsed<string, AsOf<FilterFacts>>(MAX_ROOMS)
  readonly #children = new LeastRecentlyUsed<string, AsOf<ReadonlySet<string>>>(MAX_SPACES)

  constructor(rooms: RoomsForReaders) {
    this.#rooms = rooms
  }

  /** What the user may know: of a room that they are not in, what came with the invite. */
  of({ roomId, membership, strippedState }: MembershipEntry): FilterFacts | Promise<FilterFacts> {
    if (membership === 'invite' || membership === 'knock') return factsFromStripped(strippedState ?? [])
    const known = this.#facts.get(roomId)
    if (known?.change === this.#rooms.lastChange(roomId)) return known.value
    return this.#read(roomId)
  }

  /** The rooms that a space names as its children. Spec: client-server-api §Spaces. */
  async childrenOf(spaceId: string): Promise<ReadonlySet<string>> {
    const known = this.#children.get(spaceId)
    const change = this.#rooms.lastChange(spaceId)
    if (known?.change === change) return known.value
    using view = await this.#rooms.open(spaceId)
    const children = new Set<string>()
    for (const [childId, { pdu }] of view.state.ofType('m.space.child')) {
      // A child is taken away by leaving out its servers.
      if (Array.isArray(pdu.content.via) && pdu.content.via.length > 0) children.add(childId)
    }
    this.#children.set(spaceId, { change, value: children })
    return children
  }

  async #read(roomId: string): Promise<FilterFacts> {
    const change = this.#rooms.lastChange(roomId)
    using view = await openIfKept(this.#rooms, roomId)
    const value = view ? factsFromState(view.state) : NO_FACTS
    this.#facts.set(roomId, { change, value })
    return value
  }
}

function factsFromState(state: StateView): FilterFacts {
  return facts((type) => state.get(type)?.pdu.content)
}

function factsFromStripped(events: readonly JsonObject[]): FilterFacts {
  return facts((type) => {
    const content = events.find((event) => event.type === type && event.state_key === '')?.content
    return isJsonObject(content) ? content : undefined
  })
}

function facts(contentOf: (type: string) => JsonObject | undefined): FilterFacts {
  const type = contentOf('m.room.create')?.type
  const name = contentOf('m.room.name')?.name
  return {
    type: typeof type === 'string' ? type : null,
    isEncrypted: contentOf('m.room.encryption') !== undefined,
    name: typeof name === 'string' ? name : '',
  }
}
