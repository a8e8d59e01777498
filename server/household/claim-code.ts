import { timingSafeEqual } from 'node:crypto'
import type { Random } from '../observe/environment.ts'

/** Without letters that look like others; 32, so that a byte chooses evenly. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'
/** 80 bits: nobody guesses it in the time between the first start and the claim. */
const LENGTH = 16
const GROUP = 4

/** @returns e.g. `K7QM-2XPA-9DTR-HB4C` */
export function newClaimCode(random: Random): string {
  const letters = [...random.bytes(LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
  return (letters.match(new RegExp(`.{${GROUP}}`, 'g')) ?? []).join('-')
}

/** Whether a person means this code: hyphens, spaces and small letters do not matter. Takes the same time for any wrong one. */
export function isClaimCode(given: string, code: string): boolean {
  const a = Buffer.from(
    bare(given)
      .slice(0, LENGTH + 1)
      .padEnd(LENGTH + 1),
  )
  const b = Buffer.from(bare(code).padEnd(LENGTH + 1))
  return a.length === b.length && timingSafeEqual(a, b)
}

const bare = (text: string): string => text.replace(/[\s-]/g, '').toUpperCase()
