import type { Accounts } from '../../accounts/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import type { Uia } from '../../http/uia.ts'

/** What the pages work with. */
export interface FallbackDesk {
  readonly accounts: Accounts
  readonly uia: Uia
  readonly rateLimits: RateLimits
  /** What the home is called on its pages. */
  readonly home: string
  /** Where clients reach the server. */
  readonly baseUrl: () => string
}
