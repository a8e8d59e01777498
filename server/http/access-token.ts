import type { IncomingMessage } from 'node:http'

/** Longer ones cannot be ours. */
const MAX_TOKEN_LENGTH = 4_096

/**
 * The access token of a request, from its `Authorization` header, or from the deprecated `access_token` query parameter.
 * Spec: client-server-api §Using access tokens.
 *
 * @returns `undefined` where there is none
 */
export function findAccessToken(request: IncomingMessage, queryText: string): string | undefined {
  const header = request.headers.authorization
  if (header !== undefined) {
    const token = /^bearer +(\S+) *$/i.exec(header)?.[1]
    if (token !== undefined) return token.slice(0, MAX_TOKEN_LENGTH)
  }
  if (!queryText.includes('access_token=')) return undefined
  const token = new URLSearchParams(queryText).get('access_token')
  return token ? token.slice(0, MAX_TOKEN_LENGTH) : undefined
}
