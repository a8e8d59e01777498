import { createContent, uploadContent, uploadContentToMXC } from '../../../shared/api/client/content-repo.ts'
import { forbidden, tooLarge } from '../../../shared/matrix/errors.ts'
import { type RequestInfo, type Route, route } from '../../http/route.ts'
import type { Media } from '../../media/index.ts'

export const contentRepoRoutes = (media: Media, serverName: string): readonly Route[] => [
  route(uploadContent, async ({ query, requester, request }) => ({
    content_uri: await media.upload(uploadOf(media, requester.userId, query.filename, request)),
  })),
  route(uploadContentToMXC, async ({ path, query, requester, request }) => {
    if (path.serverName !== serverName) throw forbidden('That media ID belongs to another server')
    await media.uploadTo(path.mediaId, uploadOf(media, requester.userId, query.filename, request))
    return {}
  }),
  route(createContent, async ({ requester }) => {
    const { uri, unusedExpiresTs } = await media.create(requester.userId)
    return { content_uri: uri, unused_expires_at: unusedExpiresTs }
  }),
]

function uploadOf(media: Media, owner: string, fileName: string | undefined, request: RequestInfo) {
  // What is announced as too large is not read at all.
  if (Number(request.headers['content-length'] ?? 0) > media.maxUploadBytes) {
    throw tooLarge(`Uploads are limited to ${media.maxUploadBytes} bytes`)
  }
  return { owner, contentType: request.headers['content-type'], fileName, bytes: request.stream }
}
