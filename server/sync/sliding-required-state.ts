/**
 * Which state events a client wants of a room. Spec: MSC4186 §RequiredStateRequest; MSC3575 for the form with pairs.
 */
import type { SlidingRoomConfig } from '../../shared/api/client/sync-msc4186.ts'
import type { RoomEvent, StateView } from '../rooms/index.ts'

const MEMBER = 'm.room.member'

/** State that is wanted by its type and key; `null` stands for any. */
interface Wish {
  readonly type: string | null
  readonly stateKey: string | null
}

/** What one list or subscription wants. */
export class RequiredState {
  readonly isLazy: boolean
  readonly #included: WishSet
  readonly #excluded: WishSet

  /** @param userId whom `$ME` stands for */
  constructor(wanted: SlidingRoomConfig['required_state'], userId: string) {
    const included: Wish[] = []
    const excluded: Wish[] = []
    let isLazy = false
    const wish = (type: string | undefined, stateKey: string | undefined): Wish => ({
      type: type === undefined || type === '*' ? null : type,
      stateKey: stateKey === undefined || stateKey === '*' ? null : stateKey === '$ME' ? userId : stateKey,
    })
    for (const element of Array.isArray(wanted) ? wanted : (wanted.include ?? [])) {
      const [type, stateKey] = Array.isArray(element) ? element : [element.type, element.state_key]
      if (type === MEMBER && stateKey === '$LAZY') isLazy = true
      else included.push(wish(type, stateKey))
    }
    if (!Array.isArray(wanted)) {
      isLazy ||= wanted.lazy_members === true
      for (const { type, state_key: stateKey } of wanted.exclude ?? []) excluded.push(wish(type, stateKey))
    }
    this.isLazy = isLazy
    this.#included = new WishSet(included)
    this.#excluded = new WishSet(excluded)
  }

  matches(type: string, stateKey: string): boolean {
    // What asks for any type does not mean the members where these come lazily.
    const isIncluded = this.#included.has(type, stateKey, this.isLazy && type === MEMBER)
    return isIncluded && !this.#excluded.has(type, stateKey, false)
  }

  get wantsAllMembers(): boolean {
    return !this.isLazy && this.matches(MEMBER, '*')
  }

  /** All events of a state that could match; more where they are not easily told apart. */
  candidates(state: StateView): Iterable<RoomEvent> {
    return this.#included.candidates(state)
  }
}

class WishSet {
  readonly #all: boolean
  readonly #types = new Set<string>()
  readonly #keys = new Set<string>()
  readonly #exact = new Map<string, Set<string>>()

  constructor(wishes: readonly Wish[]) {
    this.#all = wishes.some(({ type, stateKey }) => type === null && stateKey === null)
    for (const { type, stateKey } of wishes) {
      if (type !== null && stateKey !== null) {
        const keys = this.#exact.get(type) ?? new Set()
        this.#exact.set(type, keys.add(stateKey))
      } else if (type !== null) this.#types.add(type)
      else if (stateKey !== null) this.#keys.add(stateKey)
    }
  }

  has(type: string, stateKey: string, isByNameOnly: boolean): boolean {
    if (this.#types.has(type) || this.#exact.get(type)?.has(stateKey)) return true
    return !isByNameOnly && (this.#all || this.#keys.has(stateKey))
  }

  *candidates(state: StateView): Iterable<RoomEvent> {
    if (this.#all || this.#keys.size > 0) {
      yield* state.all()
      return
    }
    for (const type of this.#types) yield* state.ofType(type).values()
    for (const [type, keys] of this.#exact) {
      for (const key of keys) {
        const event = state.get(type, key)
        if (event) yield event
      }
    }
  }
}

/** What all rules that a room matches want together. */
export class CombinedState {
  readonly #parts: readonly RequiredState[]
  /** Members come as the timeline needs them. */
  readonly isLazy: boolean

  constructor(parts: readonly RequiredState[]) {
    this.#parts = parts
    this.isLazy = parts.some((part) => part.isLazy) && !parts.some((part) => part.wantsAllMembers)
  }

  matches({ pdu }: RoomEvent): boolean {
    const { type, state_key: stateKey } = pdu
    return stateKey !== undefined && this.#parts.some((part) => part.matches(type, stateKey))
  }

  select(state: StateView): RoomEvent[] {
    const found = new Map<string, RoomEvent>()
    for (const part of this.#parts) {
      for (const event of part.candidates(state)) if (this.matches(event)) found.set(event.eventId, event)
    }
    return [...found.values()]
  }
}
