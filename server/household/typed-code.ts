import type { Random } from '../observe/environment.ts'

/** Without letters that look like others; 32, so that a byte chooses evenly. */
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'
/** 80 bits: nobody guesses one while it is good. */
export const CODE_LENGTH = 16
const GROUP = 4

/** A code that people can read out and type. @returns e.g. `K7QM-2XPA-9DTR-HB4C` */
export function newCode(random: Random): string {
  const letters = [...random.bytes(CODE_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
  return (letters.match(new RegExp(`.{${GROUP}}`, 'g')) ?? []).join('-')
}

/** What counts of a code that was typed: hyphens, spaces and small letters do not matter. */
export const bareCode = (text: string): string => text.replace(/[\s-]/g, '').toUpperCase()
