/** Devices that wait for a later login. Spec: MSC3814, under its unstable prefix until a version of the specification has it. */
import { Type } from 'typebox'
import { AnyObject } from '../../matrix/json.ts'
import { DeviceId } from '../../matrix/schemas.ts'
import { endpoint } from '../endpoint.ts'
import { DeviceKeys, OneTimeKeysByName } from './keys.ts'

/** What `/versions` calls it. */
export const DEHYDRATED_DEVICES_FEATURE = 'org.matrix.msc3814'
const unstable = 'org.matrix.msc3814.v1'
const url = `/_matrix/client/unstable/${unstable}/dehydrated_device`
const none = Type.Object({})
const DeviceData = Type.Object({ algorithm: Type.String() }, { additionalProperties: true })
const TheDevice = Type.Object({ device_id: Type.String() })
const Events = Type.Object({ events: Type.Array(AnyObject), next_batch: Type.Optional(Type.String()) })

export const putDehydratedDevice = endpoint({
  operationId: 'putDehydratedDevice',
  method: 'PUT',
  url,
  auth: 'accessToken',
  rateLimited: true,
  path: none,
  query: none,
  body: Type.Object({
    device_id: DeviceId,
    device_data: DeviceData,
    initial_device_display_name: Type.Optional(Type.String()),
    device_keys: DeviceKeys,
    one_time_keys: Type.Optional(OneTimeKeysByName),
    fallback_keys: Type.Optional(OneTimeKeysByName),
  }),
  reply: TheDevice,
  errors: {},
  unstable,
})

export const getDehydratedDevice = endpoint({
  operationId: 'getDehydratedDevice',
  method: 'GET',
  url,
  auth: 'accessToken',
  rateLimited: false,
  path: none,
  query: none,
  body: null,
  reply: Type.Object({ device_id: Type.String(), device_data: DeviceData }),
  errors: { M_NOT_FOUND: 404 },
  unstable,
})

export const deleteDehydratedDevice = endpoint({
  operationId: 'deleteDehydratedDevice',
  method: 'DELETE',
  url,
  auth: 'accessToken',
  rateLimited: false,
  path: none,
  query: none,
  body: null,
  reply: TheDevice,
  errors: { M_NOT_FOUND: 404 },
  unstable,
})

export const getDehydratedDeviceEvents = endpoint({
  operationId: 'getDehydratedDeviceEvents',
  method: 'GET',
  url: `${url}/{deviceId}/events`,
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ deviceId: DeviceId }),
  query: Type.Object({ from: Type.Optional(Type.String()) }),
  body: null,
  reply: Events,
  errors: { M_FORBIDDEN: 403 },
  unstable,
})

/** As earlier drafts of the proposal had it, and clients in use still ask. */
export const postDehydratedDeviceEvents = endpoint({
  operationId: 'postDehydratedDeviceEvents',
  method: 'POST',
  url: `${url}/{deviceId}/events`,
  auth: 'accessToken',
  rateLimited: false,
  path: Type.Object({ deviceId: DeviceId }),
  query: none,
  body: Type.Object({ next_batch: Type.Optional(Type.String()) }),
  bodyRequired: false,
  reply: Events,
  errors: { M_FORBIDDEN: 403 },
  unstable,
})
