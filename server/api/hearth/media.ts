import {
  getMediaOfUser,
  removeMedia,
  removeMediaOfUser,
  setMediaQuarantine,
  setMediaQuota,
} from '../../../shared/api/hearth/media.ts'
import { notFound } from '../../../shared/matrix/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import { type Route, route } from '../../http/route.ts'
import type { MediaModeration } from '../../media/index.ts'
import { requireAdmin } from './require-admin.ts'

export const hearthMediaRoutes = (
  moderation: MediaModeration,
  accounts: Pick<Accounts, 'findAccount'>,
): readonly Route[] => [
  route(getMediaOfUser, async ({ path, query, requester }) => {
    if (path.userId !== requester.userId) requireAdmin(requester)
    const { files, bytes, maxBytes } = await moderation.usageOf(path.userId)
    const { media, next } = await moderation.list(path.userId, query)
    return {
      files,
      bytes,
      max_bytes: maxBytes,
      media: media.map(({ uri, contentType, fileName, sizeBytes, createdTs, isQuarantined }) => ({
        content_uri: uri,
        content_type: contentType,
        ...(fileName !== null && { filename: fileName }),
        size: sizeBytes,
        created_ts: createdTs,
        quarantined: isQuarantined,
      })),
      ...(next !== undefined && { next }),
    }
  }),

  route(removeMediaOfUser, async ({ path, requester }) => {
    requireAdmin(requester)
    return { removed: await moderation.removeAllOf(path.userId) }
  }),

  route(setMediaQuota, async ({ path, body, requester }) => {
    requireAdmin(requester)
    if (!(await accounts.findAccount(path.userId))) throw notFound('There is no such account')
    await moderation.setQuota(path.userId, body.max_bytes)
    return {}
  }),

  route(removeMedia, async ({ path, requester }) => {
    requireAdmin(requester)
    await moderation.remove(path)
    return {}
  }),

  route(setMediaQuarantine, async ({ path, body, requester }) => {
    requireAdmin(requester)
    await moderation.setQuarantined(path, requester.userId, body.quarantined)
    return {}
  }),
]
