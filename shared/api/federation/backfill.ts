/** Older events of a room, for servers that are in it. Spec: data/api/server-server/backfill.yaml. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { RoomId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

const errors = { M_FORBIDDEN: 403 }

export const backfillRoom = endpoint({
  operationId: 'backfillRoom',
  method: 'GET',
  url: '/_matrix/federation/v1/backfill/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({ v: Type.Array(Type.String()), limit: Type.Integer() }),
  body: null,
  reply: Type.Object({ origin: Type.String(), origin_server_ts: Type.Integer(), pdus: Type.Array(AnyObject) }),
  errors,
})

export const getMissingPreviousEvents = endpoint({
  operationId: 'getMissingPreviousEvents',
  method: 'POST',
  url: '/_matrix/federation/v1/get_missing_events/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  body: Type.Object({
    /** 10 without it. */
    limit: Type.Optional(Type.Integer()),
    min_depth: Type.Optional(Type.Integer()),
    earliest_events: Type.Array(Type.String()),
    latest_events: Type.Array(Type.String()),
  }),
  reply: Type.Object({ events: Type.Array(AnyObject) }),
  errors,
})
