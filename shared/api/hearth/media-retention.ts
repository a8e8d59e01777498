/** For how long the home keeps files, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/media_retention'
const shared = { auth: 'accessToken', rateLimited: true, path: none, query: none, unstable: 'hearth' } as const

const DAY_MS = 86_400_000
const Lifetime = Type.Integer({ minimum: DAY_MS, maximum: Number.MAX_SAFE_INTEGER })

/** Milliseconds, a day or more. */
const Settings = Type.Object({
  /**
   * Of uploads that no event names which the server can read, from the upload on; `null`: for ever. Files of encrypted rooms are among
   * them.
   */
  unreferenced_lifetime: Type.Union([Lifetime, Type.Null()]),
  /** Of copies of other servers' media, from when somebody last wanted them. */
  remote_lifetime: Lifetime,
})

export const getMediaRetention = endpoint({
  ...shared,
  operationId: 'getMediaRetention',
  method: 'GET',
  url,
  body: null,
  reply: Settings,
  errors: { M_FORBIDDEN: 403 },
})

export const setMediaRetention = endpoint({
  ...shared,
  operationId: 'setMediaRetention',
  method: 'PUT',
  url,
  body: Settings,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})
