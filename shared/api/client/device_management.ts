/** A user's devices. Spec: data/api/client-server/device_management.yaml. */
import { Type } from 'typebox'
import { AuthData } from '../auth-data.ts'
import { endpoint } from '../endpoint.ts'

const none = Type.Object({})
const common = { auth: 'accessToken', rateLimited: false, query: none } as const
/** Any text: an ID that cannot be is one that is not found. */
const DevicePath = Type.Object({ deviceId: Type.String() })

const ClientDevice = Type.Object({
  device_id: Type.String(),
  display_name: Type.Optional(Type.String()),
  last_seen_ip: Type.Optional(Type.String()),
  last_seen_ts: Type.Optional(Type.Integer()),
})

export const getDevices = endpoint({
  ...common,
  operationId: 'getDevices',
  method: 'GET',
  url: '/_matrix/client/v3/devices',
  path: none,
  body: null,
  reply: Type.Object({ devices: Type.Array(ClientDevice) }),
  errors: {},
})

export const getDevice = endpoint({
  ...common,
  operationId: 'getDevice',
  method: 'GET',
  url: '/_matrix/client/v3/devices/{deviceId}',
  path: DevicePath,
  body: null,
  reply: ClientDevice,
  errors: { M_NOT_FOUND: 404 },
})

export const updateDevice = endpoint({
  ...common,
  operationId: 'updateDevice',
  method: 'PUT',
  url: '/_matrix/client/v3/devices/{deviceId}',
  path: DevicePath,
  body: Type.Object({ display_name: Type.Optional(Type.String()) }),
  reply: none,
  errors: { M_NOT_FOUND: 404 },
})

export const deleteDevice = endpoint({
  ...common,
  operationId: 'deleteDevice',
  method: 'DELETE',
  url: '/_matrix/client/v3/devices/{deviceId}',
  path: DevicePath,
  body: Type.Object({ auth: Type.Optional(AuthData) }),
  // Many HTTP clients send no body with a DELETE.
  bodyRequired: false,
  reply: none,
  errors: { M_FORBIDDEN: 403 },
})

export const deleteDevices = endpoint({
  ...common,
  operationId: 'deleteDevices',
  method: 'POST',
  url: '/_matrix/client/v3/delete_devices',
  path: none,
  body: Type.Object({
    devices: Type.Array(Type.String(), { maxItems: 1_000 }),
    auth: Type.Optional(AuthData),
  }),
  reply: none,
  errors: { M_FORBIDDEN: 403 },
})
