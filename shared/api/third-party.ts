/** Third-party networks as application services describe them. Spec: data/api/application-service/definitions. */
import { type Static, Type } from 'typebox'
import { AnyObject } from '../matrix/json.ts'

const ProtocolInstance = Type.Object({
  desc: Type.String(),
  icon: Type.Optional(Type.String()),
  fields: AnyObject,
  network_id: Type.String(),
  /** Only from the homeserver to clients. */
  instance_id: Type.Optional(Type.String()),
})

/** Spec: definitions/protocol.yaml. */
export const Protocol = Type.Object({
  user_fields: Type.Array(Type.String()),
  location_fields: Type.Array(Type.String()),
  icon: Type.String(),
  field_types: Type.Record(Type.String(), Type.Object({ regexp: Type.String(), placeholder: Type.String() })),
  instances: Type.Array(ProtocolInstance),
})
export type Protocol = Static<typeof Protocol>

/** Spec: definitions/location_batch.yaml. */
export const LocationBatch = Type.Array(
  Type.Object({ alias: Type.String(), protocol: Type.String(), fields: AnyObject }),
)

/** Spec: definitions/user_batch.yaml. */
export const UserBatch = Type.Array(Type.Object({ userid: Type.String(), protocol: Type.String(), fields: AnyObject }))

/** `fields` stands for any number of parameters, by the names that the protocol gives them. */
export const FieldsQuery = Type.Object(
  { fields: Type.Optional(Type.String()) },
  { additionalProperties: Type.String() },
)
