import { getPushers, postPusher } from '../../../shared/api/client/pusher.ts'
import { type Route, route } from '../../http/route.ts'
import type { Pusher, Pushers } from '../../push/index.ts'

export const pusherRoutes = (pushers: Pushers): readonly Route[] => [
  route(getPushers, async ({ requester }) => ({ pushers: pushers.of(requester.userId).map(wireForm) })),
  route(postPusher, async ({ body, requester }) => {
    await pushers.set(requester, body)
    return {}
  }),
]

const wireForm = (pusher: Pusher) => ({
  app_display_name: pusher.appDisplayName,
  app_id: pusher.appId,
  data: pusher.data,
  device_display_name: pusher.deviceDisplayName,
  kind: pusher.kind,
  lang: pusher.lang,
  ...(pusher.profileTag !== null && { profile_tag: pusher.profileTag }),
  pushkey: pusher.pushkey,
})
