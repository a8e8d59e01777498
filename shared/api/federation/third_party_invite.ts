/** Invites by third-party identifiers. Spec: data/api/server-server/third_party_invite.yaml. */
import { Type } from 'typebox'
import { RoomId, UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** Spec: data/event-schemas/schema/components/signed_third_party_invite.yaml. */
const Signed = Type.Object({
  mxid: UserId,
  token: Type.String(),
  signatures: Type.Record(Type.String(), Type.Record(Type.String(), Type.String())),
})

export const exchangeThirdPartyInvite = endpoint({
  operationId: 'exchangeThirdPartyInvite',
  method: 'PUT',
  url: '/_matrix/federation/v1/exchange_third_party_invite/{roomId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ roomId: RoomId }),
  query: Type.Object({}),
  /** A part of an `m.room.member` event. */
  body: Type.Object({
    type: Type.String(),
    room_id: Type.String(),
    sender: UserId,
    state_key: UserId,
    content: Type.Object({
      membership: Type.String(),
      third_party_invite: Type.Object({ display_name: Type.String(), signed: Signed }),
    }),
  }),
  reply: Type.Object({}),
  errors: { M_INVALID_PARAM: 400, M_FORBIDDEN: 403 },
})

/** Called by identity servers, which do not sign their requests: what is in it proves itself. */
export const onBindThirdPartyIdentifier = endpoint({
  operationId: 'onBindThirdPartyIdentifier',
  method: 'PUT',
  url: '/_matrix/federation/v1/3pid/onbind',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: Type.Object({
    medium: Type.String(),
    address: Type.String(),
    mxid: UserId,
    invites: Type.Array(
      Type.Object({
        medium: Type.String(),
        address: Type.String(),
        mxid: UserId,
        room_id: RoomId,
        sender: UserId,
        signed: Signed,
      }),
    ),
  }),
  reply: Type.Object({}),
  errors: {},
})
