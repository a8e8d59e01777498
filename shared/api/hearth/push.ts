/** What our push gateway and our mails need beside the specification. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const unstable = 'hearth'
const unsubscribe = '/_hearth/push/v1/unsubscribe'

/** The key of which browsers are told when they subscribe (`applicationServerKey`), in unpadded URL-safe Base64. */
export const getVapidKey = endpoint({
  operationId: 'getVapidKey',
  method: 'GET',
  url: '/_hearth/push/v1/vapid',
  auth: 'accessToken',
  rateLimited: false,
  path: none,
  query: none,
  body: null,
  reply: Type.Object({ public_key: Type.String() }),
  errors: {},
  unstable,
})

/** The page behind the link in a mail: asks, so that a scanner of links ends nothing. */
export const showUnsubscribe = endpoint({
  operationId: 'showUnsubscribe',
  method: 'GET',
  url: unsubscribe,
  auth: 'none',
  rateLimited: true,
  path: none,
  query: Type.Object({ key: Type.String() }),
  body: null,
  reply: 'stream',
  errors: {},
  unstable,
})

/** Ends the mails; by the page's button, or by the reader's mail program (RFC 8058). */
export const endMails = endpoint({
  operationId: 'endMails',
  method: 'POST',
  url: unsubscribe,
  auth: 'none',
  rateLimited: true,
  path: none,
  query: Type.Object({ key: Type.String() }),
  body: null,
  reply: 'stream',
  errors: {},
  unstable,
})
