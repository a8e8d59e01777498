import {
  getConfigAuthed,
  getContentAuthed,
  getContentOverrideNameAuthed,
  getContentThumbnailAuthed,
  getUrlPreviewAuthed,
} from '../../../shared/api/client/authed-content-repo.ts'
import { forbidden } from '../../../shared/matrix/errors.ts'
import { Reply, type RequestInfo, type Route, route } from '../../http/route.ts'
import { contentHeaders, isKnownTag, type Media, type MediaContent, rangeOf } from '../../media/index.ts'

const USUAL_WAIT_MS = 20_000

export const authedContentRepoRoutes = (media: Media): readonly Route[] => [
  route(getContentAuthed, async ({ path, query, request }) =>
    send(await media.content(path, query.timeout_ms ?? USUAL_WAIT_MS), request),
  ),
  route(getContentOverrideNameAuthed, async ({ path, query, request }) =>
    send({ ...(await media.content(path, query.timeout_ms ?? USUAL_WAIT_MS)), fileName: path.fileName }, request),
  ),
  route(getContentThumbnailAuthed, async ({ path, query, request }) => {
    const { width, height, method = 'scale', animated = false } = query
    return send(
      await media.thumbnail(path, { width, height, method, animated }, query.timeout_ms ?? USUAL_WAIT_MS),
      request,
    )
  }),
  route(getUrlPreviewAuthed, ({ query }) => previewOf(media, query)),
  route(getConfigAuthed, async () => configOf(media)),
]

export const configOf = (media: Media) => ({ 'm.upload.size': media.maxUploadBytes })

/** @throws MatrixError 403 M_FORBIDDEN where previews are off */
export async function previewOf(
  { urlPreviews }: Media,
  { url, ts }: { readonly url: string; readonly ts?: number | undefined },
) {
  if (!urlPreviews) throw forbidden('This server makes no previews of URLs')
  return urlPreviews.get(url, ts)
}

/** The bytes, or the one range that was asked for, or 304 where the client has them. */
function send(content: MediaContent, request: RequestInfo): Reply {
  const tag = `"${content.tag}"`
  const headers = { ...contentHeaders(content), etag: tag, 'accept-ranges': 'bytes' }
  if (isKnownTag(request.headers['if-none-match'], tag)) return new Reply({ status: 304, headers, body: null })
  const ifRange = request.headers['if-range']
  const range = ifRange === undefined || ifRange === tag ? rangeOf(request.headers.range, content.sizeBytes) : undefined
  if (range === 'unsatisfiable') {
    return new Reply({ status: 416, headers: { 'content-range': `bytes */${content.sizeBytes}` }, body: null })
  }
  if (range) {
    const { start, end } = range
    return new Reply({
      status: 206,
      headers: {
        ...headers,
        'content-range': `bytes ${start}-${end}/${content.sizeBytes}`,
        'content-length': String(end - start + 1),
      },
      body: content.body(range),
    })
  }
  return new Reply({ headers: { ...headers, 'content-length': String(content.sizeBytes) }, body: content.body() })
}
