import { getContent, getContentThumbnail } from '../../../shared/api/federation/content_repository.ts'
import { Reply, type Route, route } from '../../http/route.ts'
import { contentHeaders, type Media, type MediaContent, partsAround } from '../../media/index.ts'
import type { Environment } from '../../observe/environment.ts'

const USUAL_WAIT_MS = 20_000

/** Only media of this server's own: for that of others they must ask those. */
export function contentRepositoryRoutes(
  media: Pick<Media, 'content' | 'thumbnail'>,
  { serverName, random }: Pick<Environment, 'serverName' | 'random'>,
): readonly Route[] {
  function inParts(content: MediaContent): Reply {
    const boundary = Buffer.from(random.bytes(24)).toString('hex')
    const { 'content-type': contentType = '', 'content-disposition': disposition = '' } = contentHeaders(content)
    const { before, after } = partsAround(boundary, { 'Content-Type': contentType, 'Content-Disposition': disposition })
    return new Reply({
      headers: {
        'content-type': `multipart/mixed; boundary=${boundary}`,
        'content-length': String(before.length + content.sizeBytes + after.length),
      },
      async body(write) {
        await write(before)
        await content.body()(write)
        await write(after)
      },
    })
  }

  return [
    route(getContent, async ({ path: { mediaId }, query }) =>
      inParts(await media.content({ serverName, mediaId }, query.timeout_ms ?? USUAL_WAIT_MS)),
    ),
    route(getContentThumbnail, async ({ path: { mediaId }, query }) => {
      const { width, height, method = 'scale', animated = false } = query
      const request = { width, height, method, animated }
      return inParts(await media.thumbnail({ serverName, mediaId }, request, query.timeout_ms ?? USUAL_WAIT_MS))
    }),
  ]
}
