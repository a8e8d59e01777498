/**
 * Pages for clients that cannot do a stage or a login themselves, and behind the links in mails.
 * Spec: client-server-api §Fallback, §Login Fallback.
 */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const text = Type.Optional(Type.String())
const page = {
  method: 'GET',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: 'stream',
  errors: {},
  unstable: 'the specification describes it in its text alone',
} as const
const sent = { ...page, method: 'POST', body: 'stream' } as const

const stage = {
  url: '/_matrix/client/v3/auth/{authType}/fallback/web',
  path: Type.Object({ authType: Type.String() }),
} as const
export const showAuthFallback = endpoint({
  ...page,
  ...stage,
  operationId: 'showAuthFallback',
  query: Type.Object({ session: text }),
})
export const doAuthFallback = endpoint({ ...sent, ...stage, operationId: 'doAuthFallback' })

const login = { url: '/_matrix/static/client/login/', aliases: ['/_matrix/static/client/login'] } as const
export const showLoginFallback = endpoint({
  ...page,
  ...login,
  operationId: 'showLoginFallback',
  /** What goes on to `/login`. */
  query: Type.Object({ device_id: text, initial_device_display_name: text, refresh_token: text }),
})
export const doLoginFallback = endpoint({ ...sent, ...login, operationId: 'doLoginFallback' })

const emailLink = { url: '/_hearth/client/v1/email/submit_token', unstable: 'hearth' } as const
/** Asks whether an address is the reader's, so that a program that opens links confirms nothing. */
export const showEmailLink = endpoint({
  ...page,
  ...emailLink,
  operationId: 'showEmailLink',
  query: Type.Object({ token: text }),
})
export const confirmEmailLink = endpoint({ ...sent, ...emailLink, operationId: 'confirmEmailLink' })
