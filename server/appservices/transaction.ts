import type { Appservice } from './appservice.ts'
import type { WaitingEphemeral } from './ephemeral.ts'
import type { Interest } from './interest.ts'
import { type Acknowledgement, type DeviceId, deviceLists, keyCounts, toDeviceMessages } from './keys.ts'
import { roomEventsSince } from './room-events.ts'
import type { Sources } from './sources.ts'

export interface TransactionParts {
  readonly service: Appservice
  readonly sources: Sources
  readonly interest: Interest
  /** `undefined` where the application service wants none. */
  readonly ephemeral: WaitingEphemeral | undefined
  readonly devicesOf: (userId: string) => Promise<readonly { readonly deviceId: string }[]>
}

export interface Assembled {
  /** JSON text; `undefined` where there is nothing to tell. */
  readonly body: string | undefined
  /** Up to this stream position nothing is missing once the body has been told. */
  readonly upTo: number
  readonly acknowledge: readonly Acknowledgement[]
  /** Whether more messages to devices wait. */
  readonly hasMoreToDevice: boolean
}

/**
 * What an application service is to be told next. Spec: application-service-api §Pushing events; MSC3202.
 *
 * @param span.devices its devices for which messages may wait
 */
export async function assemble(
  parts: TransactionParts,
  span: {
    readonly since: number
    readonly upTo: number
    readonly roomIds: readonly string[]
    readonly devices: Iterable<DeviceId>
  },
): Promise<Assembled> {
  const { service, sources, interest, ephemeral } = parts
  const { rooms, keys } = sources
  const { events: told, upTo } = await roomEventsSince({ service, rooms, interest }, span)
  const events = told.map(({ event }) => event)
  const toDevice = await toDeviceMessages(keys, span.devices, span.upTo)
  const fields: string[] = []
  const list = (name: string, texts: readonly string[]): void => {
    if (texts.length > 0) fields.push(`${JSON.stringify(name)}:[${texts.join(',')}]`)
  }
  list(service.ephemeralKey, (await ephemeral?.take()) ?? [])
  list('de.sorunome.msc2409.to_device', toDevice.events)
  if (service.receivesKeys) {
    const lists = await deviceLists({ keys, rooms, interest, service }, { since: span.since, upTo }, events)
    if (lists.changed.length + lists.left.length > 0) {
      fields.push(`"org.matrix.msc3202.device_lists":${JSON.stringify(lists)}`)
    }
    const { oneTime, fallback } = await keyCounts({ ...parts, keys, rooms }, toDevice.acknowledge, events)
    for (const _ in oneTime) {
      fields.push(
        `"org.matrix.msc3202.device_one_time_keys_count":${JSON.stringify(oneTime)}`,
        `"org.matrix.msc3202.device_unused_fallback_key_types":${JSON.stringify(fallback)}`,
      )
      break
    }
  }
  const isEmpty = told.length === 0 && fields.length === 0
  const body = `{${[`"events":[${told.map(({ json }) => json).join(',')}]`, ...fields].join(',')}}`
  return { body: isEmpty ? undefined : body, upTo, acknowledge: toDevice.acknowledge, hasMoreToDevice: toDevice.isCut }
}
