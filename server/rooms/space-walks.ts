import type { Random } from '../observe/environment.ts'
import { encodeBase64Url } from '../protocol/base64.ts'

/** A room that a walk through a space is still to come to. */
export interface Station {
  readonly roomId: string
  /** How far below the first room. */
  readonly depth: number
  /** Servers that may know of it. */
  readonly via: readonly string[]
}

/** Where a walk stands between two pages. Never changed, so that a page may be asked for again. */
export interface Walk {
  readonly userId: string
  readonly roomId: string
  readonly suggestedOnly: boolean
  readonly maxDepth: number
  /** The next one last. */
  readonly ahead: readonly Station[]
  /** Rooms that were come to, whether they were shown or not. */
  readonly seen: readonly string[]
}

/** Walks that are remembered; the oldest are forgotten first. */
const MAX_WALKS = 256

/** Walks through spaces that were not ended, by the token that continues them. In memory: a restart forgets them. */
export class SpaceWalks {
  readonly #random: Random
  readonly #walks = new Map<string, Walk>()

  constructor(random: Random) {
    this.#random = random
  }

  /** @returns the token */
  keep(walk: Walk): string {
    const token = encodeBase64Url(this.#random.bytes(18))
    this.#walks.set(token, walk)
    if (this.#walks.size > MAX_WALKS) this.#walks.delete(this.#walks.keys().next().value ?? '')
    return token
  }

  find(token: string): Walk | undefined {
    return this.#walks.get(token)
  }
}
