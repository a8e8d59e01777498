import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { UserId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'

/** All devices of a user of the server that is asked. Spec: data/api/server-server/user_devices.yaml. */
export const getUserDevices = endpoint({
  operationId: 'getUserDevices',
  method: 'GET',
  url: '/_matrix/federation/v1/user/devices/{userId}',
  auth: 'signedRequest',
  rateLimited: false,
  path: Type.Object({ userId: UserId }),
  query: Type.Object({}),
  body: null,
  reply: Type.Object({
    user_id: Type.String(),
    stream_id: Type.Integer(),
    /** A device that is not as it should be is left out by whoever reads it. */
    devices: Type.Array(AnyObject),
    /** Objects; Synapse answers `null` where there is none. */
    master_key: Type.Optional(Type.Unknown()),
    self_signing_key: Type.Optional(Type.Unknown()),
  }),
  errors: {},
})
