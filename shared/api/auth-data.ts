import { Type } from 'typebox'

/**
 * What a client submits to user-interactive authentication, with further keys that depend on `type`. Some clients send `null`
 * in their first request. Spec: data/api/client-server/definitions/auth_data.yaml.
 */
export const AuthData = Type.Union([
  Type.Object({ type: Type.Optional(Type.String()), session: Type.Optional(Type.String()) }),
  Type.Null(),
])
