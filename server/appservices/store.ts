import { collection } from '../store/index.ts'

export type DeliveryRow = {
  readonly appserviceId: string
  /** Everything up to this stream position has been told, or is in the transaction that waits. */
  readonly position: number
  /** How many transactions there were. */
  readonly count: number
  /** The transaction that is to be confirmed before there is another: its ID and body, `null` where none waits. */
  readonly txnId: string | null
  readonly body: string | null
  /** JSON of `Acknowledgement[]`: messages to devices that are in it. */
  readonly toDevice: string | null
}

/** How far each application service has been told what happened. */
export const deliveryRows = collection<DeliveryRow>({
  name: 'appservice-deliveries',
  place: 'home',
  key: 'appserviceId',
  indexes: [],
})
