import { type Outbound, RemoteError } from '../net/index.ts'

/**
 * Whether an identity server still stands by a key that it has signed with.
 * @param validityUrl where the third-party invite says that this can be asked
 */
export type IsKeyValid = (validityUrl: string, publicKey: string) => Promise<boolean>

const TIMEOUT_MS = 10_000
/** More than `{"valid":true}` with other keys beside it takes. */
const MAX_BYTES = 4_096

/** A key that nobody can be asked about counts as not valid. Spec: identity-service-api §GET /_matrix/identity/v2/pubkey/isvalid. */
export function createKeyValidity(outbound: Pick<Outbound, 'fetch'>): IsKeyValid {
  return async (validityUrl, publicKey) => {
    if (!URL.canParse(validityUrl)) return false
    const url = new URL(validityUrl)
    url.searchParams.set('public_key', publicKey)
    try {
      const { status, body } = await outbound.fetch({ url: url.href, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES })
      return status === 200 && isValidIn(body.toString('utf8'))
    } catch (error) {
      if (error instanceof RemoteError) return false
      throw error
    }
  }
}

function isValidIn(text: string): boolean {
  try {
    const answer = JSON.parse(text) as { readonly valid?: unknown } | null
    return answer?.valid === true
  } catch {
    // It is no JSON, and so says nothing of the key.
    return false
  }
}
