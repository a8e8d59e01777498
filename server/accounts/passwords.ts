import { type BinaryLike, scrypt, timingSafeEqual } from 'node:crypto'
import { invalidParam, limitExceeded, MatrixError } from '../../shared/matrix/errors.ts'
import type { Random } from '../observe/environment.ts'

/** scrypt's cost as log2(N), with r = 8 and p = 1: memory is 1 KiB times N. 16: 64 MiB and about 0.1 s of a core. */
export const DEFAULT_COST_LOG2 = 16
/** Fewer characters than these are refused where people choose a password themselves. */
export const MIN_PASSWORD_LENGTH = 8
/** UTF-16 code units; more is refused before anything is computed. */
export const MAX_PASSWORD_LENGTH = 512

const BLOCK_SIZE = 8
const KEY_BYTES = 32
const SALT_BYTES = 16
/** Of the four threads that Node gives to such work, the disk needs the rest. */
const MAX_AT_ONCE = 2
/** Works in waiting; each takes about 0.1 s, so more would time out anyway. */
const MAX_WAITING = 100

/** What is stored: algorithm, log2(N), salt, key. */
const STORED = /^scrypt\$(\d{1,2})\$([\w-]+)\$([\w-]+)$/

export interface Passwords {
  /**
   * @returns text for the account's row
   * @throws MatrixError 429 when too many works wait already
   */
  hash(password: string): Promise<string>
  /**
   * Compares in constant time. Does the same work where there is no hash, so that the time does not tell which accounts exist.
   * @param stored from `hash`, whatever its cost was; `null` never matches
   */
  matches(password: string, stored: string | null): Promise<boolean>
  /** Whether the hash was made at a lower cost than is used now. */
  isOutdated(stored: string): boolean
}

/**
 * Lets only so many works run at once: each takes 64 MiB, and a flood of logins must not eat the memory.
 * @returns a function that runs the work when its turn comes
 */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= MAX_AT_ONCE) {
      if (waiting.length >= MAX_WAITING) throw limitExceeded(5_000)
      // The one who finishes hands the place on, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}

function derive(password: string, salt: BinaryLike, costLog2: number): Promise<Buffer> {
  const N = 2 ** costLog2
  const options = { N, r: BLOCK_SIZE, p: 1, maxmem: 128 * BLOCK_SIZE * (N + 2) * 2 }
  return new Promise((resolve, reject) => {
    // The same letters may be typed composed or decomposed, by the keyboard of another system.
    scrypt(password.normalize('NFC'), salt, KEY_BYTES, options, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}

export function createPasswords({ random, costLog2 }: { random: Random; costLog2: number }): Passwords {
  const inTurn = createQueue()
  const salt = random.bytes(SALT_BYTES)
  const nobody = { costLog2, salt, key: Buffer.alloc(KEY_BYTES) }

  function parse(stored: string): { costLog2: number; salt: Buffer; key: Buffer } {
    const [, cost, saltText, keyText] = STORED.exec(stored) ?? []
    if (cost === undefined || saltText === undefined || keyText === undefined) {
      throw new Error('an account row holds a password hash of an unknown kind')
    }
    return {
      costLog2: Number(cost),
      salt: Buffer.from(saltText, 'base64url'),
      key: Buffer.from(keyText, 'base64url'),
    }
  }

  return {
    hash(password) {
      const fresh = random.bytes(SALT_BYTES)
      return inTurn(async () => {
        const key = await derive(password, fresh, costLog2)
        return `scrypt$${costLog2}$${fresh.toString('base64url')}$${key.toString('base64url')}`
      })
    },
    matches(password, stored) {
      const wanted = stored === null ? nobody : parse(stored)
      return inTurn(async () => {
        const key = await derive(password, wanted.salt, wanted.costLog2)
        return timingSafeEqual(key, wanted.key) && stored !== null
      })
    },
    isOutdated: (stored) => parse(stored).costLog2 < costLog2,
  }
}

/**
 * Whether a password may be chosen. Spec: client-server-api §Password management.
 * @throws MatrixError 400 M_WEAK_PASSWORD, or M_INVALID_PARAM for one that is longer than we hash
 */
export function requireGoodPassword(password: string, minLength: number = MIN_PASSWORD_LENGTH): void {
  requireHashable(password)
  if ([...password].length < minLength) {
    throw new MatrixError('M_WEAK_PASSWORD', 400, `The password must have at least ${minLength} characters`)
  }
}

/** @throws MatrixError 400 M_INVALID_PARAM */
export function requireHashable(password: string): void {
  if (password.length > MAX_PASSWORD_LENGTH) {
    throw invalidParam(`The password must have at most ${MAX_PASSWORD_LENGTH} characters`)
  }
}
