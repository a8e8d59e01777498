import { MatrixError } from '../../shared/matrix/errors.ts'
import { isNewLocalpart, parseUserId } from '../../shared/matrix/identifiers.ts'
import type { Random } from '../observe/environment.ts'

const GENERATED_LENGTH = 10
const LETTERS_AND_DIGITS = 'abcdefghijklmnopqrstuvwxyz234567'

const invalidUsername = (message: string): MatrixError => new MatrixError('M_INVALID_USERNAME', 400, message)

/**
 * The user ID that a wished username gives: capitals become small letters, everything else of the grammar stays.
 * Spec: appendices §User Identifiers.
 * @throws MatrixError 400 M_INVALID_USERNAME
 */
export function userIdForUsername(username: string, serverName: string): string {
  const localpart = username.toLowerCase()
  if (!isNewLocalpart(localpart, serverName)) {
    throw invalidUsername(
      'A username may hold a to z, 0 to 9 and . _ = - / +, and with the server name at most 255 characters',
    )
  }
  return `@${localpart}:${serverName}`
}

/**
 * Names that begin with an underscore are left to bridges, which by custom claim them.
 * @throws MatrixError 400 M_INVALID_USERNAME
 */
export function requireUnreserved(username: string): void {
  if (username.startsWith('_')) throw invalidUsername('Usernames that begin with _ are reserved for bridges')
}

/** A user ID for someone who named none. */
export function randomUserId(serverName: string, random: Random): string {
  return `@u${randomText(random, GENERATED_LENGTH - 1, LETTERS_AND_DIGITS)}:${serverName}`
}

/** @param alphabet of a length that divides 256, so that all letters are equally likely */
export function randomText(random: Random, length: number, alphabet: string): string {
  let text = ''
  for (const byte of random.bytes(length)) text += alphabet[byte % alphabet.length]
  return text
}

/**
 * The local users whom a login may mean, most likely first: a full user ID or a localpart as it is, then in small letters.
 * @returns empty where the name is not one of this server
 */
export function candidateUserIds(user: string, serverName: string): readonly string[] {
  let localpart = user
  if (user.startsWith('@')) {
    const parts = parseUserId(user)
    if (parts?.serverName !== serverName) return []
    localpart = parts.localpart
  }
  const exact = `@${localpart}:${serverName}`
  if (parseUserId(exact) === undefined) return []
  return [...new Set([exact, `@${localpart.toLowerCase()}:${serverName}`])]
}
