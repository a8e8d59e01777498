import type { Static } from 'typebox'
import type { LoginReply } from '../../shared/api/session-reply.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import type { Session } from '../accounts/index.ts'

/** A session as logins and registrations answer it. */
export function sessionReply(session: Session): Static<typeof LoginReply> {
  const { userId, deviceId, accessToken, refreshToken, expiresInMs } = session
  return {
    user_id: userId,
    access_token: accessToken,
    device_id: deviceId,
    home_server: serverNameOf(userId),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(expiresInMs === undefined ? {} : { expires_in_ms: expiresInMs }),
  }
}

/** What a login's or registration's body asks of its device and tokens. */
export function sessionRequestOf(body: {
  readonly device_id?: string
  readonly initial_device_display_name?: string
  readonly refresh_token?: boolean
}): { deviceId?: string; initialDeviceDisplayName?: string; wantsRefreshToken?: boolean } {
  return {
    ...(body.device_id === undefined ? {} : { deviceId: body.device_id }),
    ...(body.initial_device_display_name === undefined
      ? {}
      : { initialDeviceDisplayName: body.initial_device_display_name }),
    ...(body.refresh_token === undefined ? {} : { wantsRefreshToken: body.refresh_token }),
  }
}
