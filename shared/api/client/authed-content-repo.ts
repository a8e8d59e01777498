/** Downloads, thumbnails and previews of URLs for those with an account. Spec: data/api/client-server/authed-content-repo.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { MediaId, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const MediaPath = { serverName: ServerName, mediaId: MediaId }
/** Milliseconds to wait for an upload that is still to come; 20,000 where nothing is said. */
const TimeoutMs = Type.Optional(Type.Integer({ minimum: 0 }))
const common = { method: 'GET', auth: 'accessToken', rateLimited: true, body: null } as const

export const getContentAuthed = endpoint({
  ...common,
  operationId: 'getContentAuthed',
  url: '/_matrix/client/v1/media/download/{serverName}/{mediaId}',
  path: Type.Object(MediaPath),
  query: Type.Object({ timeout_ms: TimeoutMs }),
  reply: 'stream',
  errors: { M_TOO_LARGE: 502, M_NOT_YET_UPLOADED: 504 },
})

export const getContentOverrideNameAuthed = endpoint({
  ...common,
  operationId: 'getContentOverrideNameAuthed',
  url: '/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}',
  path: Type.Object({ ...MediaPath, fileName: Type.String({ maxLength: 512 }) }),
  query: Type.Object({ timeout_ms: TimeoutMs }),
  reply: 'stream',
  errors: { M_TOO_LARGE: 502, M_NOT_YET_UPLOADED: 504 },
})

export const getContentThumbnailAuthed = endpoint({
  ...common,
  operationId: 'getContentThumbnailAuthed',
  url: '/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}',
  path: Type.Object(MediaPath),
  query: Type.Object({
    width: Type.Integer({ minimum: 1, maximum: 65_535 }),
    height: Type.Integer({ minimum: 1, maximum: 65_535 }),
    method: Type.Optional(Type.Union([Type.Literal('crop'), Type.Literal('scale')])),
    timeout_ms: TimeoutMs,
    animated: Type.Optional(Type.Boolean()),
  }),
  reply: 'stream',
  errors: { M_UNKNOWN: 400, M_TOO_LARGE: 413, M_NOT_YET_UPLOADED: 504 },
})

export const getConfigAuthed = endpoint({
  ...common,
  operationId: 'getConfigAuthed',
  url: '/_matrix/client/v1/media/config',
  path: Type.Object({}),
  query: Type.Object({}),
  reply: Type.Object({ 'm.upload.size': Type.Optional(Type.Integer()) }),
  errors: {},
})

export const getUrlPreviewAuthed = endpoint({
  ...common,
  operationId: 'getUrlPreviewAuthed',
  url: '/_matrix/client/v1/media/preview_url',
  path: Type.Object({}),
  query: Type.Object({
    url: Type.String({ minLength: 1 }),
    /** Milliseconds since the epoch: a preview of that time is preferred. */
    ts: Type.Optional(Type.Integer()),
  }),
  /** `og:…` keys as the page has them, `og:image` as `mxc://` URI, and `matrix:image:size` in bytes. */
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403 },
})
