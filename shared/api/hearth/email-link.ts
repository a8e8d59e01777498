/** The page behind the link in a mail that asks whether an address is somebody's. Hearth's own: the specification names no URL. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const page = {
  url: '/_hearth/client/v1/email/submit_token',
  auth: 'none',
  rateLimited: true,
  path: Type.Object({}),
  reply: 'stream',
  errors: {},
  unstable: 'hearth',
} as const

/** Asks, so that a program that opens links confirms nothing. */
export const showEmailLink = endpoint({
  ...page,
  operationId: 'showEmailLink',
  method: 'GET',
  query: Type.Object({ token: Type.Optional(Type.String()) }),
  body: null,
})

export const confirmEmailLink = endpoint({
  ...page,
  operationId: 'confirmEmailLink',
  method: 'POST',
  query: Type.Object({}),
  body: 'stream',
})
