import { createHmac, timingSafeEqual } from 'node:crypto'
import { forbidden, invalidParam } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'

/** How long a nonce can be used. */
const NONCE_LIFETIME_MS = 60_000
const RANDOM_BYTES = 16

/** What a provisioning tool signs. */
export interface SignedRegistration {
  readonly nonce: string
  readonly username: string
  readonly password: string
  readonly isAdmin: boolean
  /** Lower-case hex HMAC-SHA1, keyed with the secret, of the others joined by NUL bytes. */
  readonly mac: string
}

/**
 * Registration by a secret that the configuration shares with provisioning tools.
 * Nonces are not kept: they carry their time under our own seal, so asking for many costs nothing. Only the used ones are
 * remembered, for as long as they would be valid.
 */
export interface SharedSecret {
  newNonce(): string
  /**
   * Uses up the nonce.
   * @throws MatrixError 400 M_INVALID_PARAM for a nonce that is unknown, expired or used; 403 M_FORBIDDEN for a wrong `mac`
   */
  require(registration: SignedRegistration): void
}

export function createSharedSecret(secret: string, { clock, random }: Environment): SharedSecret {
  const sealKey = random.bytes(32)
  /** Used nonces and when they expire, oldest first. */
  const used = new Map<string, number>()

  const sealOf = (text: string): string => createHmac('sha256', sealKey).update(text).digest('hex')

  function isValid(nonce: string): boolean {
    const [createdTs, salt, seal, ...rest] = nonce.split('-')
    if (!createdTs || !salt || !seal || rest.length > 0 || !areEqual(seal, sealOf(`${createdTs}-${salt}`))) return false
    return clock.now() - Number(createdTs) <= NONCE_LIFETIME_MS && !used.has(nonce)
  }

  function markUsed(nonce: string): void {
    const now = clock.now()
    for (const [old, expiresTs] of used) {
      if (expiresTs > now) break
      used.delete(old)
    }
    used.set(nonce, now + NONCE_LIFETIME_MS)
  }

  return {
    newNonce() {
      const text = `${clock.now()}-${random.bytes(RANDOM_BYTES).toString('hex')}`
      return `${text}-${sealOf(text)}`
    },
    require({ nonce, username, password, isAdmin, mac }) {
      if (!isValid(nonce)) throw invalidParam('Unrecognized nonce')
      const signed = [nonce, username, password, isAdmin ? 'admin' : 'notadmin'].join('\0')
      if (!areEqual(mac, createHmac('sha1', secret).update(signed).digest('hex'))) throw forbidden('Wrong mac')
      markUsed(nonce)
    },
  }
}

/** In a time that does not tell where two texts differ. */
function areEqual(given: string, expected: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(expected)
  return a.length === b.length && timingSafeEqual(a, b)
}
