import { uploadCrossSigningKeys, uploadCrossSigningSignatures } from '../../../shared/api/client/cross_signing.ts'
import { badJson } from '../../../shared/matrix/errors.ts'
import { isUserId } from '../../../shared/matrix/identifiers.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'
import type { OAuth } from '../../oauth/index.ts'

/** How many keys one upload of signatures may name. */
const MAX_SIGNED_KEYS = 1_000

/** MSC4312's stage as clients knew it before it was in the specification. */
const UNSTABLE_OAUTH_STAGE = 'org.matrix.cross_signing_reset'

/** What users do on their account page before OAuth clients may replace cross-signing keys. */
export interface CrossSigningResets {
  readonly approvals: OAuth['resetApprovals']
  /** Where the account page asks for it. */
  readonly pageUrl: () => string
}

export const crossSigningRoutes = (
  { crossSigning }: Pick<E2ee, 'crossSigning'>,
  uia: Uia,
  resets: CrossSigningResets,
): readonly Route[] => [
  route(uploadCrossSigningKeys, async ({ body, requester, request }) => {
    const { userId } = requester
    const upload = async (): Promise<Record<string, never>> => {
      await crossSigning.upload(userId, body)
      return {}
    }
    if (requester.appservice || !(await crossSigning.needsAuthentication(userId, body))) return upload()
    const call = { operation: 'uploadCrossSigningKeys', body, userId, ip: request.ip }
    if (requester.oauthClientId === undefined) return uia.run({ ...call, flows: [[PASSWORD]] }, upload)
    const url = resets.pageUrl()
    const params = { 'm.oauth': { url }, [UNSTABLE_OAUTH_STAGE]: { url } }
    const elsewhere = { stages: Object.keys(params), isDone: () => resets.approvals.has(userId) }
    return uia.run({ ...call, flows: [['m.oauth'], [UNSTABLE_OAUTH_STAGE]], params, elsewhere }, async () => {
      const reply = await upload()
      await resets.approvals.consume(userId)
      return reply
    })
  }),

  route(uploadCrossSigningSignatures, async ({ body, requester }) => {
    const signed = new Map(Object.entries(body).map(([userId, byKey]) => [userId, new Map(Object.entries(byKey))]))
    let count = 0
    for (const [userId, byKey] of signed) {
      if (!isUserId(userId)) throw badJson('The keys must be user IDs')
      count += byKey.size
    }
    if (count > MAX_SIGNED_KEYS) throw badJson(`At most ${MAX_SIGNED_KEYS} keys in one request`)
    const failures = await crossSigning.addSignatures(requester.userId, signed)
    return {
      failures: Object.fromEntries(
        [...failures].map(([userId, byKey]) => [
          userId,
          Object.fromEntries(
            [...byKey].map(([keyId, error]) => [keyId, { errcode: error.errcode, error: error.message }]),
          ),
        ]),
      ),
    }
  }),
]
