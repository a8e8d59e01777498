import { stateMapKey } from '../protocol/state-resolution/index.ts'
import type { StateView } from './contract.ts'
import type { KeptEvent } from './event.ts'
import { LayeredMap } from './layered-map.ts'

/** What identifies one piece of a room's state, as one string. */
export const stateSlot = stateMapKey

const NOTHING: ReadonlyMap<string, KeptEvent> = new Map()

/** A room's state at one point: immutable, so that whoever holds one is never surprised. */
export class StateMap implements StateView {
  static readonly empty = new StateMap(new Map(), 0)

  readonly size: number
  readonly #types: ReadonlyMap<string, LayeredMap<KeptEvent>>

  private constructor(types: ReadonlyMap<string, LayeredMap<KeptEvent>>, size: number) {
    this.#types = types
    this.size = size
  }

  /** @param events state events, one for each slot */
  static of(events: Iterable<KeptEvent>): StateMap {
    const types = new Map<string, Map<string, KeptEvent>>()
    let size = 0
    for (const event of events) {
      const { type, state_key: stateKey = '' } = event.pdu
      let keys = types.get(type)
      if (!keys) {
        keys = new Map()
        types.set(type, keys)
      }
      keys.set(stateKey, event)
      size += 1
    }
    return new StateMap(new Map([...types].map(([type, keys]) => [type, LayeredMap.from(keys)])), size)
  }

  get(type: string, stateKey = ''): KeptEvent | undefined {
    return this.#types.get(type)?.get(stateKey)
  }

  ofType(type: string): ReadonlyMap<string, KeptEvent> {
    return this.#types.get(type)?.toMap() ?? NOTHING
  }

  *all(): Generator<KeptEvent> {
    for (const keys of this.#types.values()) yield* keys.toMap().values()
  }

  types(): Iterable<string> {
    return this.#types.keys()
  }

  /** A copy in which the slot holds this event, or nothing. */
  with(type: string, stateKey: string, event: KeptEvent | undefined): StateMap {
    const keys = this.#types.get(type) ?? LayeredMap.from<KeptEvent>(new Map())
    const changed = keys.with(stateKey, event)
    if (changed === keys) return this
    return new StateMap(new Map(this.#types).set(type, changed), this.size + changed.size - keys.size)
  }
}

/** The state with the redacted form of an event in it, also where its content is shown as that which another replaced. */
export function withRedacted(state: StateMap, redacted: KeptEvent): StateMap {
  const { type, state_key: stateKey } = redacted.pdu
  if (stateKey === undefined) return state
  const current = state.get(type, stateKey)
  if (current?.eventId === redacted.eventId) return state.with(type, stateKey, redacted)
  if (!current?.replaces || current.replaces.eventId !== redacted.eventId) return state
  return state.with(type, stateKey, current.with({ replaces: { ...current.replaces, content: redacted.pdu.content } }))
}
