/** Invitations to an account, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/registration_tokens'
const shared = { auth: 'accessToken', rateLimited: true, query: none, unstable: 'hearth' } as const
const YEAR_MS = 365 * 24 * 60 * 60_000

const RegistrationToken = Type.Object({
  token: Type.String(),
  /** A page where an account can be made with it. */
  url: Type.String(),
  note: Type.String(),
  uses_allowed: Type.Integer(),
  uses: Type.Integer(),
  created_by: UserId,
  /** Milliseconds since the epoch, as `expires_ts`. */
  created_ts: Type.Integer(),
  expires_ts: Type.Integer(),
  /** Neither used up nor expired. */
  valid: Type.Boolean(),
})

export const createRegistrationToken = endpoint({
  ...shared,
  operationId: 'createRegistrationToken',
  method: 'POST',
  url,
  path: none,
  body: Type.Object({
    /** One when not given. */
    uses_allowed: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    /** A week when not given. */
    lifetime_ms: Type.Optional(Type.Integer({ minimum: 60_000, maximum: YEAR_MS })),
    /** For whom it is, e.g. `Grandma`. */
    note: Type.Optional(Type.String({ maxLength: 200 })),
  }),
  bodyRequired: false,
  reply: RegistrationToken,
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})

/** Also those that have been used up or have expired, for a month. */
export const getRegistrationTokens = endpoint({
  ...shared,
  operationId: 'getRegistrationTokens',
  method: 'GET',
  url,
  path: none,
  body: null,
  reply: Type.Object({ registration_tokens: Type.Array(RegistrationToken) }),
  errors: { M_FORBIDDEN: 403 },
})

/** No account can be made with it any more. */
export const revokeRegistrationToken = endpoint({
  ...shared,
  operationId: 'revokeRegistrationToken',
  method: 'DELETE',
  url: `${url}/{token}`,
  path: Type.Object({ token: Type.String({ minLength: 1, maxLength: 64 }) }),
  body: null,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
