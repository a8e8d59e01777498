import { Type } from 'typebox'
import { UserId } from '../matrix/schemas.ts'

const tokens = {
  refresh_token: Type.Optional(Type.String()),
  /** Milliseconds. */
  expires_in_ms: Type.Optional(Type.Integer()),
  /** Deprecated: the server name, spelt so. */
  home_server: Type.Optional(Type.String()),
}

/** What a login answers. Spec: data/api/client-server/login.yaml. */
export const LoginReply = Type.Object({
  user_id: UserId,
  access_token: Type.String(),
  device_id: Type.String(),
  ...tokens,
})

/** What a registration answers: without tokens where they were not asked for. Spec: data/api/client-server/registration.yaml. */
export const RegistrationReply = Type.Object({
  user_id: UserId,
  access_token: Type.Optional(Type.String()),
  device_id: Type.Optional(Type.String()),
  ...tokens,
})
