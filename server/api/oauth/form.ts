import type { IncomingMessage } from 'node:http'
import { readBody } from '../../http/read-body.ts'
import type { RequestInfo } from '../../http/route.ts'
import { OAuthError } from '../../oauth/index.ts'

/** Forms are short; a redirect URI and a state are the longest that comes. */
const MAX_FORM_BYTES = 32 * 1024

/** Fields by name. */
export type Form = Readonly<Record<string, string | undefined>>

/**
 * The fields of a form. Empty ones count as absent. Spec: RFC 6749 §3.1, §3.2, Appendix B.
 * @throws OAuthError invalid_request for another kind of body, or a field that comes twice
 * @throws MatrixError 413, 408
 */
export async function readForm(request: RequestInfo): Promise<Form> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw new OAuthError('invalid_request', 'The body must be application/x-www-form-urlencoded')
  }
  // What a route gets as its stream is the request itself.
  const bytes = await readBody(request.stream as IncomingMessage, MAX_FORM_BYTES)
  const form: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (value === '') continue
    if (form[name] !== undefined) throw new OAuthError('invalid_request', `'${name.slice(0, 100)}' comes twice`)
    form[name] = value
  }
  return form
}
