import type { AuthEnvironment } from '../auth-rules/index.ts'
import type { RoomVersionRules } from '../room-versions.ts'
import type { Ranks } from './auth-difference.ts'
import type { Conflict } from './conflict.ts'
import type { KnownEvents } from './known-events.ts'

/** What an algorithm needs to settle a conflict. */
export interface Dispute {
  readonly conflict: Conflict
  readonly events: KnownEvents
  readonly rules: RoomVersionRules
  readonly ranks: Ranks | undefined
  readonly env: AuthEnvironment
}
