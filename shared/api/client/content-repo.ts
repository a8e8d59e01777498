/** Uploads, and the deprecated ways to read. Spec: data/api/client-server/content-repo.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { MediaId, MxcUri, ServerName } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const FileNameQuery = Type.Object({ filename: Type.Optional(Type.String()) })

export const uploadContent = endpoint({
  operationId: 'uploadContent',
  method: 'POST',
  url: '/_matrix/media/v3/upload',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: FileNameQuery,
  body: 'stream',
  reply: Type.Object({ content_uri: MxcUri }),
  errors: { M_FORBIDDEN: 403, M_USER_LIMIT_EXCEEDED: 403, M_TOO_LARGE: 413 },
})

export const uploadContentToMXC = endpoint({
  operationId: 'uploadContentToMXC',
  method: 'PUT',
  url: '/_matrix/media/v3/upload/{serverName}/{mediaId}',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({ serverName: ServerName, mediaId: MediaId }),
  query: FileNameQuery,
  body: 'stream',
  reply: Type.Object({}),
  errors: {
    M_FORBIDDEN: 403,
    M_USER_LIMIT_EXCEEDED: 403,
    M_NOT_FOUND: 404,
    M_CANNOT_OVERWRITE_MEDIA: 409,
    M_TOO_LARGE: 413,
  },
})

export const createContent = endpoint({
  operationId: 'createContent',
  method: 'POST',
  url: '/_matrix/media/v1/create',
  auth: 'accessToken',
  rateLimited: true,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({ content_uri: MxcUri, unused_expires_at: Type.Optional(Type.Integer()) }),
  errors: { M_FORBIDDEN: 403, M_LIMIT_EXCEEDED: 429 },
})

const deprecated = { method: 'GET', rateLimited: true, body: null } as const
const MediaPath = { serverName: ServerName, mediaId: MediaId }
const ReadQuery = {
  allow_remote: Type.Optional(Type.Boolean()),
  timeout_ms: Type.Optional(Type.Integer({ minimum: 0 })),
  allow_redirect: Type.Optional(Type.Boolean()),
}
const readErrors = { M_NOT_FOUND: 404, M_TOO_LARGE: 502, M_NOT_YET_UPLOADED: 504 }

/** Deprecated: frozen, as §Content repository asks of servers by v1.12. */
export const getContent = endpoint({
  ...deprecated,
  operationId: 'getContent',
  url: '/_matrix/media/v3/download/{serverName}/{mediaId}',
  auth: 'none',
  path: Type.Object(MediaPath),
  query: Type.Object(ReadQuery),
  reply: 'stream',
  errors: readErrors,
})

/** Deprecated: frozen. */
export const getContentOverrideName = endpoint({
  ...deprecated,
  operationId: 'getContentOverrideName',
  url: '/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}',
  auth: 'none',
  path: Type.Object({ ...MediaPath, fileName: Type.String({ maxLength: 512 }) }),
  query: Type.Object(ReadQuery),
  reply: 'stream',
  errors: readErrors,
})

/** Deprecated: frozen. */
export const getContentThumbnail = endpoint({
  ...deprecated,
  operationId: 'getContentThumbnail',
  url: '/_matrix/media/v3/thumbnail/{serverName}/{mediaId}',
  auth: 'none',
  path: Type.Object(MediaPath),
  query: Type.Object({
    width: Type.Integer({ minimum: 1, maximum: 65_535 }),
    height: Type.Integer({ minimum: 1, maximum: 65_535 }),
    method: Type.Optional(Type.Union([Type.Literal('crop'), Type.Literal('scale')])),
    ...ReadQuery,
    animated: Type.Optional(Type.Boolean()),
  }),
  reply: 'stream',
  errors: { M_NOT_FOUND: 404, M_UNKNOWN: 400, M_TOO_LARGE: 413, M_NOT_YET_UPLOADED: 504 },
})

/** Deprecated for `getUrlPreviewAuthed`. */
export const getUrlPreview = endpoint({
  ...deprecated,
  operationId: 'getUrlPreview',
  url: '/_matrix/media/v3/preview_url',
  auth: 'accessToken',
  path: Type.Object({}),
  query: Type.Object({ url: Type.String({ minLength: 1 }), ts: Type.Optional(Type.Integer()) }),
  reply: AnyObject,
  errors: { M_FORBIDDEN: 403 },
})

/** Deprecated for `getConfigAuthed`. */
export const getConfig = endpoint({
  ...deprecated,
  operationId: 'getConfig',
  url: '/_matrix/media/v3/config',
  auth: 'accessToken',
  path: Type.Object({}),
  query: Type.Object({}),
  reply: Type.Object({ 'm.upload.size': Type.Optional(Type.Integer()) }),
  errors: {},
})
