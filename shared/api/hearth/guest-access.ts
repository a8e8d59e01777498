/** Whether this home lets guests in, for administrators: Hearth's own, not in the specification. See §Guest Access. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/guest_access'
const shared = { auth: 'accessToken', rateLimited: true, path: none, query: none, unstable: 'hearth' } as const

export const getGuestAccess = endpoint({
  ...shared,
  operationId: 'getGuestAccess',
  method: 'GET',
  url,
  body: null,
  reply: Type.Object({
    allowed: Type.Boolean(),
    /** How many guests there are now. */
    guests: Type.Integer(),
  }),
  errors: { M_FORBIDDEN: 403 },
})

/** Turning it off deactivates all guests for good. */
export const setGuestAccess = endpoint({
  ...shared,
  operationId: 'setGuestAccess',
  method: 'PUT',
  url,
  body: Type.Object({ allowed: Type.Boolean() }),
  reply: none,
  errors: { M_FORBIDDEN: 403 },
})
