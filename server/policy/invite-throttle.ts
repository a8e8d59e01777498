/**
 * How often users of other servers may invite ours. Invites are the one thing that strangers can put in front of a person, and
 * ring a telephone with, so they are counted by who sends them, by the server that lets them, and by whom they reach.
 */
import { limitExceeded } from '../../shared/matrix/errors.ts'
import type { Clock } from '../observe/environment.ts'

/** So many at once, and one more after each such time. */
interface Pace {
  readonly burst: number
  readonly refillMs: number
}

const BY_INVITER: Pace = { burst: 20, refillMs: 60_000 }
const BY_SERVER: Pace = { burst: 100, refillMs: 5_000 }
const BY_INVITEE: Pace = { burst: 50, refillMs: 30_000 }

/** How many senders are remembered; the least active is forgotten first, which only ever lets somebody through. */
const MAX_REMEMBERED = 20_000

interface Level {
  left: number
  updatedTs: number
}

export class InviteThrottle {
  readonly #clock: Clock
  readonly #levels = new Map<string, Level>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Counts one invite.
   * @throws MatrixError 429 M_LIMIT_EXCEEDED; it is then not counted
   */
  take(invite: { readonly server: string; readonly inviter: string; readonly invitee: string }): void {
    const levels = [
      this.#level(`server ${invite.server}`, BY_SERVER),
      this.#level(`inviter ${invite.inviter}`, BY_INVITER),
      this.#level(`invitee ${invite.invitee}`, BY_INVITEE),
    ]
    for (const { level, pace } of levels) {
      if (level.left < 1) throw limitExceeded(Math.ceil((1 - level.left) * pace.refillMs))
    }
    for (const { level } of levels) level.left -= 1
  }

  #level(key: string, pace: Pace): { readonly level: Level; readonly pace: Pace } {
    const now = this.#clock.now()
    const level = this.#levels.get(key) ?? { left: pace.burst, updatedTs: now }
    level.left = Math.min(pace.burst, level.left + Math.max(0, now - level.updatedTs) / pace.refillMs)
    level.updatedTs = now
    this.#levels.delete(key)
    this.#levels.set(key, level)
    if (this.#levels.size > MAX_REMEMBERED) {
      for (const oldest of this.#levels.keys()) {
        this.#levels.delete(oldest)
        break
      }
    }
    return { level, pace }
  }
}
