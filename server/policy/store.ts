import { collection } from '../store/index.ts'

export type ReportRow = {
  readonly reportId: string
  /** Stream position of its commit: newer ones are greater. */
  readonly position: number
  readonly kind: string
  readonly by: string
  /** Who reports what: the same again takes the place of the first. */
  readonly subject: string
  readonly roomId: string | null
  readonly eventId: string | null
  readonly userId: string | null
  readonly reason: string
  /** JSON of a reported event, as the reporter saw it. */
  readonly event: string | null
  readonly receivedTs: number
}

export const reportRows = collection<ReportRow>({
  name: 'reports',
  place: 'home',
  key: 'reportId',
  indexes: ['position', 'by', 'subject'],
})
