import { invalidParam, missingParam } from '../../shared/matrix/errors.ts'
import type { UserIdentifier } from './contract.ts'

/**
 * Who is meant, as logins and password stages name it: the `identifier` object, or the older `user`, `medium` and `address`.
 * Spec: client-server-api §Identifier types; §POST /login, deprecated keys.
 * @throws MatrixError 400 M_MISSING_PARAM, M_INVALID_PARAM
 */
export function parseUserIdentifier(fields: {
  readonly identifier?: unknown
  readonly user?: unknown
  readonly medium?: unknown
  readonly address?: unknown
}): UserIdentifier {
  const { identifier, user, medium, address } = fields
  if (identifier !== undefined) return fromObject(identifier)
  if (typeof user === 'string') return { type: 'm.id.user', user }
  if (typeof medium === 'string' && typeof address === 'string') return { type: 'm.id.thirdparty', medium, address }
  throw missingParam("'identifier' is missing")
}

function fromObject(identifier: unknown): UserIdentifier {
  if (typeof identifier !== 'object' || identifier === null) throw invalidParam("'identifier' must be an object")
  const { type, user, medium, address } = identifier as Record<string, unknown>
  if (type === 'm.id.user') {
    if (typeof user !== 'string') throw missingParam("'identifier.user' is missing")
    return { type, user }
  }
  if (type === 'm.id.phone') return { type }
  // The specification's own example of a login by third-party identifier has no type.
  if (type === 'm.id.thirdparty' || type === undefined) {
    if (typeof medium === 'string' && typeof address === 'string') return { type: 'm.id.thirdparty', medium, address }
    if (type !== undefined) throw missingParam("'identifier' lacks 'medium' or 'address'")
  }
  throw invalidParam('This type of identifier is not known')
}

/** What a person types where pages ask for a name: a user ID, its localpart, or an e-mail address. */
export function typedIdentifier(text: string): UserIdentifier {
  const typed = text.trim()
  return typed.indexOf('@') > 0
    ? { type: 'm.id.thirdparty', medium: 'email', address: typed }
    : { type: 'm.id.user', user: typed }
}
