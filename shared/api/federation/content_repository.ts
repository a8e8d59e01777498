/** Media of a server for other servers. Spec: data/api/server-server/content_repository.yaml. */
import { Type } from 'typebox'
import { MediaId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const common = { method: 'GET', auth: 'signedRequest', rateLimited: true, body: null, reply: 'stream' } as const
const path = Type.Object({ mediaId: MediaId })
/** Milliseconds to wait for an upload that is still to come; 20,000 where nothing is said. */
const TimeoutMs = Type.Optional(Type.Integer({ minimum: 0 }))

/** The answer is `multipart/mixed`: an object of JSON, then the bytes, or a `Location` where they are. */
export const getContent = endpoint({
  ...common,
  operationId: 'getContent',
  url: '/_matrix/federation/v1/media/download/{mediaId}',
  path,
  query: Type.Object({ timeout_ms: TimeoutMs }),
  errors: { M_TOO_LARGE: 502, M_NOT_YET_UPLOADED: 504 },
})

/** Answered in the same way. */
export const getContentThumbnail = endpoint({
  ...common,
  operationId: 'getContentThumbnail',
  url: '/_matrix/federation/v1/media/thumbnail/{mediaId}',
  path,
  query: Type.Object({
    width: Type.Integer({ minimum: 1, maximum: 65_535 }),
    height: Type.Integer({ minimum: 1, maximum: 65_535 }),
    method: Type.Optional(Type.Union([Type.Literal('crop'), Type.Literal('scale')])),
    timeout_ms: TimeoutMs,
    animated: Type.Optional(Type.Boolean()),
  }),
  errors: { M_UNKNOWN: 400, M_TOO_LARGE: 413, M_NOT_YET_UPLOADED: 504 },
})
