/** What people have uploaded, for administrators and for themselves: Hearth's own, not in the specification. */
import { Type } from 'typebox'
import { MediaId, MxcUri, ServerName, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const ofUser = '/_hearth/client/v1/users/{userId}/media'
const ofMedia = '/_hearth/client/v1/media/{serverName}/{mediaId}'
const common = { auth: 'accessToken', rateLimited: true, unstable: 'hearth' } as const
const user = Type.Object({ userId: UserId })
const media = Type.Object({ serverName: ServerName, mediaId: MediaId })

/** Newest first; one's own, and for administrators anybody's. `before` is the `next` of the page before. */
export const getMediaOfUser = endpoint({
  ...common,
  operationId: 'getMediaOfUser',
  method: 'GET',
  url: ofUser,
  path: user,
  query: Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    before: Type.Optional(Type.String({ maxLength: 20 })),
  }),
  body: null,
  reply: Type.Object({
    /** Of all uploads, not of this page alone. */
    files: Type.Integer(),
    bytes: Type.Integer(),
    /** `null`: as much as they like. */
    max_bytes: Type.Union([Type.Integer(), Type.Null()]),
    media: Type.Array(
      Type.Object({
        content_uri: MxcUri,
        content_type: Type.String(),
        filename: Type.Optional(Type.String()),
        size: Type.Integer(),
        /** Milliseconds since the epoch. */
        created_ts: Type.Integer(),
        quarantined: Type.Boolean(),
      }),
    ),
    next: Type.Optional(Type.String()),
  }),
  errors: { M_FORBIDDEN: 403 },
})

/** All that a user has uploaded goes for good. */
export const removeMediaOfUser = endpoint({
  ...common,
  operationId: 'removeMediaOfUser',
  method: 'DELETE',
  url: ofUser,
  path: user,
  query: none,
  body: null,
  reply: Type.Object({ removed: Type.Integer() }),
  errors: { M_FORBIDDEN: 403 },
})

/** How much a user may upload in all; `null`: as much as they like. What is there stays. */
export const setMediaQuota = endpoint({
  ...common,
  operationId: 'setMediaQuota',
  method: 'PUT',
  url: `${ofUser}/quota`,
  path: user,
  query: none,
  body: Type.Object({ max_bytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]) }),
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

/** One upload, or what is kept of another server's, goes for good. */
export const removeMedia = endpoint({
  ...common,
  operationId: 'removeMedia',
  method: 'DELETE',
  url: ofMedia,
  path: media,
  query: none,
  body: null,
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})

/** Quarantined media is kept and shown to nobody. */
export const setMediaQuarantine = endpoint({
  ...common,
  operationId: 'setMediaQuarantine',
  method: 'PUT',
  url: `${ofMedia}/quarantine`,
  path: media,
  query: none,
  body: Type.Object({ quarantined: Type.Boolean() }),
  reply: none,
  errors: { M_FORBIDDEN: 403, M_NOT_FOUND: 404 },
})
