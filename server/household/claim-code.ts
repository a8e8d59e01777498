import { timingSafeEqual } from 'node:crypto'
import { bareCode, CODE_LENGTH } from './typed-code.ts'

/** Whether a person means this code. Takes the same time for any wrong one. */
export function isClaimCode(given: string, code: string): boolean {
  const a = Buffer.from(
    bareCode(given)
      .slice(0, CODE_LENGTH + 1)
      .padEnd(CODE_LENGTH + 1),
  )
  const b = Buffer.from(bareCode(code).padEnd(CODE_LENGTH + 1))
  return a.length === b.length && timingSafeEqual(a, b)
}
