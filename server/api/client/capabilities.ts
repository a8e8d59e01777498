import { getCapabilities } from '../../../shared/api/client/capabilities.ts'
import { type Route, route } from '../../http/route.ts'
import { ROOM_VERSIONS } from '../../protocol/room-versions.ts'
import { DELAYED_EVENT_LIMITS } from '../../rooms/index.ts'

/** @param options.defaultRoomVersion the version of rooms whose creator names none */
export function capabilitiesRoutes(options: {
  readonly defaultRoomVersion: string
  /** Whether users can add addresses. */
  readonly hasMail: boolean
}): readonly Route[] {
  const capabilities = {
    'm.change_password': { enabled: true },
    'm.forget_forced_upon_leave': { enabled: false },
    'm.room_versions': {
      default: options.defaultRoomVersion,
      available: Object.fromEntries(ROOM_VERSIONS.map((version) => [version, 'stable' as const])),
    },
    'm.set_displayname': { enabled: true },
    'm.set_avatar_url': { enabled: true },
    'm.3pid_changes': { enabled: options.hasMail },
    'm.get_login_token': { enabled: true },
    'm.profile_fields': { enabled: true },
    'org.matrix.msc4140.delayed_events': {
      max_delay_ms: DELAYED_EVENT_LIMITS.maxDelayMs,
      max_scheduled: DELAYED_EVENT_LIMITS.maxScheduled,
    },
  }
  const forAdmins = { 'm.account_moderation': { lock: true, suspend: true } }
  // What needs user-interactive authentication, sessions of OAuth clients cannot do.
  const forOAuth = {
    'm.change_password': { enabled: false },
    'm.3pid_changes': { enabled: false },
    'm.get_login_token': { enabled: false },
  }
  return [
    route(getCapabilities, async ({ requester }) => ({
      capabilities: {
        ...capabilities,
        ...(requester.isAdmin && forAdmins),
        ...(requester.oauthClientId !== undefined && forOAuth),
      },
    })),
  ]
}
