/**
 * TypeBox schemas of identifiers, for endpoint declarations: strings with the `format` names of the specification's own
 * OpenAPI files (data/string-formats.yaml). Importing this file registers how those formats are checked.
 *
 * They accept whatever other servers may legally use (historical user IDs), bounded to 255 bytes. A path or query parameter
 * that does not fit must be answered with 400 `M_INVALID_PARAM`, a key in a body with 400 `M_BAD_JSON`.
 */
import { Type } from 'typebox'
import { Format } from 'typebox/format'
import { isDeviceId, isMediaId, isMxcUri, isOpaqueId, isRoomAlias, isServerName, isUserId } from './identifiers.ts'

Format.Set('mx-user-id', isUserId)
Format.Set('mx-room-id', (text) => isOpaqueId('!', text))
Format.Set('mx-event-id', (text) => isOpaqueId('$', text))
Format.Set('mx-room-alias', isRoomAlias)
Format.Set('mx-server-name', isServerName)
Format.Set('mx-mxc-uri', isMxcUri)
// Names of our own, for parameters to which the specification gives no format.
Format.Set('hearth-room-id-or-alias', (text) => isOpaqueId('!', text) || isRoomAlias(text))
Format.Set('hearth-device-id', isDeviceId)
Format.Set('hearth-media-id', isMediaId)

/** A user ID of the historical grammar: `@`, anything without `:` and NUL, `:`, server name. */
export const UserId = Type.String({ format: 'mx-user-id' })
/** `!` and opaque text: clients must not parse room IDs, and neither do we before looking one up. */
export const RoomId = Type.String({ format: 'mx-room-id' })
/** `$` and opaque text. */
export const EventId = Type.String({ format: 'mx-event-id' })
export const RoomAlias = Type.String({ format: 'mx-room-alias' })
/** Either of the two, as `/join/{roomIdOrAlias}` takes it. */
export const RoomIdOrAlias = Type.String({ format: 'hearth-room-id-or-alias' })
export const ServerName = Type.String({ format: 'mx-server-name' })
export const MxcUri = Type.String({ format: 'mx-mxc-uri' })
/** 1 to 255 bytes without control characters. */
export const DeviceId = Type.String({ format: 'hearth-device-id' })
export const MediaId = Type.String({ format: 'hearth-media-id' })
