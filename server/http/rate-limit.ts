import { limitExceeded } from '../../shared/matrix/errors.ts'
import type { Clock } from '../observe/environment.ts'

/** A bucket that holds `burst` requests and gets `perSecond` back. */
export interface Allowance {
  readonly burst: number
  readonly perSecond: number
}

/**
 * What one requester (or, without a token, one address) may do. Numbers for a household in real use: nobody who types, syncs
 * or starts a client with many rooms meets them; a script that guesses passwords or floods a room does at once.
 */
const allowances = {
  /** Endpoints that the specification marks as rate-limited. */
  general: { burst: 200, perSecond: 20 },
  /** Events into rooms. */
  send: { burst: 100, perSecond: 10 },
  /** Password and token logins from one address. */
  login: { burst: 20, perSecond: 0.2 },
  /** Logins into one account, from wherever. */
  loginAccount: { burst: 10, perSecond: 0.1 },
  /** Logins that a client makes for another. */
  loginToken: { burst: 10, perSecond: 1 / 30 },
  /** What is counted at all, by each guest; and their state events. */
  guest: { burst: 40, perSecond: 1 },
  guestState: { burst: 5, perSecond: 0.1 },
  guestRegistration: { burst: 5, perSecond: 1 / 120 },
  registration: { burst: 10, perSecond: 0.2 },
  /** Tries at what somebody could guess: registration tokens, tokens of mails. */
  guess: { burst: 20, perSecond: 0.2 },
  /** Mails with links, by who asks for them; and by whom they go to. */
  mail: { burst: 10, perSecond: 1 / 60 },
  mailTo: { burst: 5, perSecond: 1 / 600 },
  /** OAuth clients that introduce themselves, and devices that ask to be let in; each login begins with one. */
  oauthClient: { burst: 30, perSecond: 0.2 },
  join: { burst: 30, perSecond: 1 },
  invite: { burst: 50, perSecond: 1 },
  createRoom: { burst: 30, perSecond: 0.5 },
  /** Pages that are fetched for somebody. */
  preview: { burst: 60, perSecond: 1 },
  /** Keys of other servers, by who asks for them. */
  keyQuery: { burst: 60, perSecond: 1 },
  /** Requests of one other server; those without signature, by address. A busy server sends a transaction a second. */
  federation: { burst: 500, perSecond: 50 },
} as const satisfies Record<string, Allowance>

export type LimitClass = keyof typeof allowances

/** Which class an operation draws from besides its `rateLimited` mark. */
const classOfOperation: Readonly<Record<string, LimitClass>> = {
  sendMessage: 'send',
  setRoomStateWithKey: 'send',
  redactEvent: 'send',
  login: 'login',
  refresh: 'general',
  // It calls others for whoever asks.
  notify: 'general',
  register: 'registration',
  registrationTokenValidity: 'guess',
  generateLoginToken: 'loginToken',
  joinRoom: 'join',
  joinRoomById: 'join',
  knockRoom: 'join',
  inviteUser: 'invite',
  inviteBy3PID: 'invite',
  createRoom: 'createRoom',
  upgradeRoom: 'createRoom',
  getUrlPreviewAuthed: 'preview',
  getUrlPreview: 'preview',
  // Anybody may ask, and we ask others for it.
  onBindThirdPartyIdentifier: 'guess',
  perspectivesKeyQuery: 'keyQuery',
  bulkPerspectivesKeyQuery: 'keyQuery',
  getServerKey: 'federation',
}

/** @returns `undefined` where requests to this endpoint are not counted */
export function limitClassOf(endpoint: { operationId: string; rateLimited: boolean }): LimitClass | undefined {
  return classOfOperation[endpoint.operationId] ?? (endpoint.rateLimited ? 'general' : undefined)
}

interface Bucket {
  tokens: number
  updatedTs: number
}

/** How many buckets are remembered; the least used is forgotten first, which only ever lets somebody through. */
const MAX_BUCKETS = 20_000

/** Token buckets in bounded memory. */
export class RateLimits {
  readonly #clock: Clock
  readonly #isEnabled: boolean
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, isEnabled: boolean) {
    this.#clock = clock
    this.#isEnabled = isEnabled
  }

  /** Whether anything is limited. */
  get isEnabled(): boolean {
    return this.#isEnabled
  }

  /**
   * Takes one from the bucket of this class and key.
   * @param key a user ID, a server name or an address
   * @throws MatrixError 429 M_LIMIT_EXCEEDED with the time after which one will be there
   */
  take(limitClass: LimitClass, key: string): void {
    if (!this.#isEnabled) return
    const { burst, perSecond } = allowances[limitClass]
    const id = `${limitClass} ${key}`
    const now = this.#clock.now()
    const bucket = this.#buckets.get(id) ?? { tokens: burst, updatedTs: now }
    const elapsedMs = Math.max(0, now - bucket.updatedTs)
    bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs / 1000) * perSecond)
    bucket.updatedTs = now
    this.#remember(id, bucket)
    if (bucket.tokens < 1) throw limitExceeded(Math.ceil(((1 - bucket.tokens) / perSecond) * 1000))
    bucket.tokens -= 1
  }

  /** Moves the bucket to the end of the map, whose order is that of last use. */
  #remember(id: string, bucket: Bucket): void {
    this.#buckets.delete(id)
    this.#buckets.set(id, bucket)
    if (this.#buckets.size <= MAX_BUCKETS) return
    const oldest = this.#buckets.keys().next()
    if (!oldest.done) this.#buckets.delete(oldest.value)
  }
}
