import { getMediaRetention, setMediaRetention } from '../../../shared/api/hearth/media-retention.ts'
import { type Route, route } from '../../http/route.ts'
import type { MediaRetention } from '../../media/index.ts'
import { requireAdmin } from './require-admin.ts'

export const mediaRetentionRoutes = (retention: MediaRetention): readonly Route[] => [
  route(getMediaRetention, async ({ requester }) => {
    requireAdmin(requester)
    const { unnamedMs, cachedMs } = retention.settings
    return { unreferenced_lifetime: unnamedMs, remote_lifetime: cachedMs }
  }),

  route(setMediaRetention, async ({ body, requester }) => {
    requireAdmin(requester)
    await retention.set({ unnamedMs: body.unreferenced_lifetime, cachedMs: body.remote_lifetime })
    return {}
  }),
]
