/** Who may come in with signed requests. Spec: server-server-api §Request Authentication. */
import { badJson, forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import { CanonicalJsonError } from '../protocol/canonical-json.ts'
import type { Json } from '../protocol/pdu.ts'
import { checkTextSignatures } from '../protocol/signing.ts'
import type { Doorkeeper, SignedRequest } from './contract.ts'
import type { KeyRing } from './keys.ts'
import { contentTextOf, parseXMatrix, requestText, type XMatrix } from './x-matrix.ts'

/** A server may sign with several keys, each in a header of its own. */
const MAX_HEADERS = 4

const unauthorized = (message: string): MatrixError => new MatrixError('M_UNAUTHORIZED', 401, message)

export function createDoorkeeper(parts: {
  readonly serverName: string
  readonly keys: Pick<KeyRing, 'requestKey'>
  readonly heardFrom: (server: string) => void
  readonly isBlocked: (serverName: string) => boolean
}): Doorkeeper {
  const { serverName, keys, heardFrom, isBlocked } = parts

  function read(authorization: SignedRequest['authorization']): readonly [XMatrix, ...XMatrix[]] {
    const [first, ...others] = authorization.map((header) => {
      const parsed = parseXMatrix(header)
      if (!parsed) throw unauthorized('The X-Matrix authorization is not as it should be')
      return parsed
    })
    if (!first) throw unauthorized('The request bears no X-Matrix authorization')
    if (others.length >= MAX_HEADERS) throw unauthorized('The request bears too many signatures')
    for (const { origin, destination } of [first, ...others]) {
      if (origin !== first.origin) throw unauthorized('The request has several origins')
      if (destination !== undefined && destination !== serverName) {
        throw unauthorized(`The request is for another server, and this is ${serverName}`)
      }
    }
    if (first.origin === serverName) throw unauthorized('The request claims to be from this server itself')
    if (isBlocked(first.origin)) throw forbidden('This server has nothing to do with yours')
    return [first, ...others]
  }

  return {
    admit: (authorization) => void read(authorization),

    async authenticate({ method, uri, authorization, content }) {
      const headers = read(authorization)
      const [{ origin }] = headers
      const text = requestText({
        method,
        uri,
        origin,
        destination: serverName,
        contentText: content === undefined ? undefined : canonicalText(content),
      })
      const publicKeys = new Map<string, string>()
      for (const { keyId } of headers) {
        const publicKey = await keys.requestKey(origin, keyId)
        if (publicKey !== undefined) publicKeys.set(keyId, publicKey)
      }
      if (publicKeys.size === 0) throw unauthorized(`No valid key of ${origin} by the name in the request can be had`)
      const signatures = { [origin]: Object.fromEntries(headers.map(({ keyId, signature }) => [keyId, signature])) }
      const verdict = checkTextSignatures({ text, signatures, entity: origin, keyOf: (keyId) => publicKeys.get(keyId) })
      if (!verdict.ok) throw unauthorized(`The request's signature is not good: ${verdict.why}`)
      heardFrom(origin)
      return origin
    },
  }
}

/** @throws MatrixError 400 M_BAD_JSON */
function canonicalText(content: Json): string {
  try {
    return contentTextOf(content)
  } catch (cause) {
    if (cause instanceof CanonicalJsonError) throw badJson(cause.message)
    throw cause
  }
}
