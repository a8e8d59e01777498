import { hash } from 'node:crypto'
import type { Random } from '../observe/environment.ts'

const TOKEN_BYTES = 32
/** Ours are shorter; a longer one cannot be ours and is not worth hashing. */
const MAX_TOKEN_LENGTH = 128
/** The prefix lets people and secret scanners see what a leaked text is. */
const PREFIX = { access: 'hat_', refresh: 'hrt_', openId: 'hoi_', mail: 'hml_' } as const

/** A fresh secret of 256 random bits. */
export function newToken(kind: keyof typeof PREFIX, random: Random): string {
  return PREFIX[kind] + random.bytes(TOKEN_BYTES).toString('base64url')
}

/** What is stored of a token: with 256 random bits in it, a plain hash cannot be turned back. @returns `undefined` for no token of ours */
export function tokenHash(token: string): string | undefined {
  return token.length > 0 && token.length <= MAX_TOKEN_LENGTH ? hash('sha256', token, 'base64url') : undefined
}
