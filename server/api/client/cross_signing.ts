import { uploadCrossSigningKeys, uploadCrossSigningSignatures } from '../../../shared/api/client/cross_signing.ts'
import { badJson } from '../../../shared/matrix/errors.ts'
import { isUserId } from '../../../shared/matrix/identifiers.ts'
import type { E2ee } from '../../e2ee/index.ts'
import { type Route, route } from '../../http/route.ts'
import { PASSWORD, type Uia } from '../../http/uia.ts'

/** How many keys one upload of signatures may name. */
const MAX_SIGNED_KEYS = 1_000

export const crossSigningRoutes = ({ crossSigning }: Pick<E2ee, 'crossSigning'>, uia: Uia): readonly Route[] => [
  route(uploadCrossSigningKeys, async ({ body, requester, request }) => {
    const { userId } = requester
    const upload = async (): Promise<Record<string, never>> => {
      await crossSigning.upload(userId, body)
      return {}
    }
    if (!(await crossSigning.needsAuthentication(userId, body))) return upload()
    return uia.run({ operation: 'uploadCrossSigningKeys', body, userId, flows: [[PASSWORD]], ip: request.ip }, upload)
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
