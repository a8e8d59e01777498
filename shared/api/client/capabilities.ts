import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const BooleanCapability = Type.Object({ enabled: Type.Boolean() })

/** What this server lets this user do. Spec: data/api/client-server/capabilities.yaml. */
export const getCapabilities = endpoint({
  operationId: 'getCapabilities',
  method: 'GET',
  url: '/_matrix/client/v3/capabilities',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    capabilities: Type.Object({
      'm.change_password': Type.Optional(BooleanCapability),
      'm.forget_forced_upon_leave': Type.Optional(BooleanCapability),
      'm.room_versions': Type.Optional(
        Type.Object({
          default: Type.String(),
          available: Type.Record(Type.String(), Type.Enum(['stable', 'unstable'])),
        }),
      ),
      'm.set_displayname': Type.Optional(BooleanCapability),
      'm.set_avatar_url': Type.Optional(BooleanCapability),
      'm.3pid_changes': Type.Optional(BooleanCapability),
      'm.get_login_token': Type.Optional(BooleanCapability),
      'm.profile_fields': Type.Optional(
        Type.Object({
          enabled: Type.Boolean(),
          allowed: Type.Optional(Type.Array(Type.String())),
          disallowed: Type.Optional(Type.Array(Type.String())),
        }),
      ),
      'm.account_moderation': Type.Optional(
        Type.Object({ suspend: Type.Optional(Type.Boolean()), lock: Type.Optional(Type.Boolean()) }),
      ),
    }),
  }),
  errors: {},
})
