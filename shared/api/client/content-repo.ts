/** Uploads. Spec: data/api/client-server/content-repo.yaml. */
import { Type } from 'typebox'
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
  errors: { M_FORBIDDEN: 403, M_TOO_LARGE: 413 },
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
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404, M_CANNOT_OVERWRITE_MEDIA: 409, M_TOO_LARGE: 413 },
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
