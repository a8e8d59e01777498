import { hash } from 'node:crypto'
import type { Random } from '../observe/environment.ts'

const SECRET_BYTES = 32
/** Ours are shorter; a longer one cannot be ours and is not worth hashing. */
const MAX_SECRET_LENGTH = 128

/** The prefix lets people and secret scanners see what a leaked text is. */
type SecretKind = 'hac' | 'hdc' | 'hbs' | 'hlt'

/** A fresh secret of 256 random bits. */
export function newSecret(kind: SecretKind, random: Random): string {
  return `${kind}_${random.bytes(SECRET_BYTES).toString('base64url')}`
}

/** What is stored of a secret. @returns one that is never found, where it is no secret of ours */
export function secretHash(secret: string): string {
  return secret.length <= MAX_SECRET_LENGTH ? hash('sha256', secret, 'base64url') : ''
}
