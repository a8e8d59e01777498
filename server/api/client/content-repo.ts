import {
  createContent,
  getConfig,
  getContent,
  getContentOverrideName,
  getContentThumbnail,
  getUrlPreview,
  uploadContent,
  uploadContentToMXC,
} from '../../../shared/api/client/content-repo.ts'
import { notFound, tooLarge } from '../../../shared/matrix/errors.ts'
import { type RequestInfo, type Route, route } from '../../http/route.ts'
import type { Media } from '../../media/index.ts'
import { configOf, previewOf } from './authed-content-repo.ts'

export const contentRepoRoutes = (media: Media, serverName: string): readonly Route[] => [
  route(uploadContent, async ({ query, requester, request }) => ({
    content_uri: await media.upload(uploadOf(media, requester.userId, query.filename, request)),
  })),
  route(uploadContentToMXC, async ({ path, query, requester, request }) => {
    if (path.serverName !== serverName) throw notFound('That media ID belongs to another server')
    await media.uploadTo(path.mediaId, uploadOf(media, requester.userId, query.filename, request))
    return {}
  }),
  route(createContent, async ({ requester }) => {
    const { uri, unusedExpiresTs } = await media.create(requester.userId)
    return { content_uri: uri, unused_expires_at: unusedExpiresTs }
  }),
  route(getContent, frozen),
  route(getContentOverrideName, frozen),
  route(getContentThumbnail, frozen),
  route(getUrlPreview, ({ query }) => previewOf(media, query)),
  route(getConfig, async () => configOf(media)),
]

/** No media is older than the freeze: this server has asked for a token from its first day. Spec: §Content repository. */
async function frozen(): Promise<never> {
  throw notFound('Media is only served with an access token, at /_matrix/client/v1/media')
}

function uploadOf(media: Media, owner: string, fileName: string | undefined, request: RequestInfo) {
  // What is announced as too large is not read at all.
  if (Number(request.headers['content-length'] ?? 0) > media.maxUploadBytes) {
    throw tooLarge(`Uploads are limited to ${media.maxUploadBytes} bytes`)
  }
  return { owner, contentType: request.headers['content-type'], fileName, bytes: request.stream }
}
