import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

/** Whom to turn to about this server. Spec: data/api/client-server/support.yaml. */
export const getWellknownSupport = endpoint({
  operationId: 'getWellknownSupport',
  method: 'GET',
  url: '/.well-known/matrix/support',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    contacts: Type.Optional(
      Type.Array(
        Type.Object({
          matrix_id: Type.Optional(Type.String()),
          email_address: Type.Optional(Type.String()),
          role: Type.String(),
        }),
      ),
    ),
    support_page: Type.Optional(Type.String()),
  }),
  errors: { M_NOT_FOUND: 404 },
})
