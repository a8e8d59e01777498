/** The way to the server's own login page, for clients of the legacy API. Spec: data/api/client-server/sso_login_redirect.yaml. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const query = Type.Object({ redirectUrl: Type.String(), action: Type.Optional(Type.String()) })

export const redirectToSSO = endpoint({
  operationId: 'redirectToSSO',
  method: 'GET',
  url: '/_matrix/client/v3/login/sso/redirect',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query,
  body: null,
  reply: 'stream',
  errors: {},
})

export const redirectToIdP = endpoint({
  operationId: 'redirectToIdP',
  method: 'GET',
  url: '/_matrix/client/v3/login/sso/redirect/{idpId}',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({ idpId: Type.String() }),
  query,
  body: null,
  reply: 'stream',
  errors: { M_NOT_FOUND: 404 },
})
