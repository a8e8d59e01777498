/** What new people have to agree to, for administrators: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const url = '/_hearth/client/v1/terms'
const shared = { auth: 'accessToken', rateLimited: true, path: none, query: none, unstable: 'hearth' } as const

/** As in the `params` of the stage. Spec: data/api/client-server/definitions/m.login.terms_params.yaml. */
const Terms = Type.Object({
  policies: Type.Record(
    Type.String(),
    Type.Intersect([
      Type.Object({ version: Type.String() }),
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Object({ name: Type.String(), url: Type.String() })])),
    ]),
  ),
})

export const getTerms = endpoint({
  ...shared,
  operationId: 'getTerms',
  method: 'GET',
  url,
  body: null,
  reply: Terms,
  errors: { M_FORBIDDEN: 403 },
})

/** Replaces all; without policies, nobody is asked. Who has an account is not asked again. */
export const setTerms = endpoint({
  ...shared,
  operationId: 'setTerms',
  method: 'PUT',
  url,
  body: Terms,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_INVALID_PARAM: 400 },
})
