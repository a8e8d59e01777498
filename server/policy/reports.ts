import { notFound } from '../../shared/matrix/errors.ts'
import type { Environment } from '../observe/environment.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import { put, remove, type Store } from '../store/index.ts'
import { type ReportRow, reportRows } from './store.ts'

/** Longer reasons are cut: a report is not to be lost for its length. */
const MAX_REASON_LENGTH = 4_000
/** Of one person, and of all; older ones give way. One person cannot push out what others report. */
const MAX_OF_ONE = 100
const MAX_KEPT = 5_000
const MAX_PAGE = 100

/** What somebody reports: exactly one of a room, an event in a room, and a user. */
export interface ReportWish {
  readonly by: string
  readonly roomId?: string
  readonly eventId?: string
  /** Of an event its sender. */
  readonly userId?: string
  readonly reason: string
  /** The event as the reporter sees it, as JSON text. */
  readonly event?: string
}

export interface Report {
  readonly reportId: string
  readonly kind: 'room' | 'event' | 'user'
  readonly by: string
  readonly roomId: string | null
  readonly eventId: string | null
  readonly userId: string | null
  readonly reason: string
  readonly event: string | null
  readonly receivedTs: number
}

/** Reports for the home's administrators. Spec: client-server-api §Reporting Content. */
export interface Reports {
  /** The same again by the same person replaces the first. */
  add(wish: ReportWish): Promise<void>
  /**
   * Newest first.
   * @param before `next` of the page before
   */
  list(page: { readonly limit?: number | undefined; readonly before?: number | undefined }): Promise<{
    readonly reports: readonly Report[]
    readonly next?: number
  }>
  /** It is dealt with. @throws MatrixError 404 M_NOT_FOUND */
  remove(reportId: string): Promise<void>
}

export function createReports({ environment, store }: { environment: Environment; store: Store }): Reports {
  return {
    async add(wish) {
      const { by, roomId = null, eventId = null, userId = null } = wish
      const kind = eventId !== null ? 'event' : roomId !== null ? 'room' : 'user'
      const subject = [by, kind, eventId ?? roomId ?? userId].join('\u0000')
      const row = {
        reportId: encodeBase64Url(environment.random.bytes(12)),
        kind,
        by,
        subject,
        roomId,
        eventId,
        userId,
        reason: wish.reason.slice(0, MAX_REASON_LENGTH),
        event: wish.event ?? null,
        receivedTs: environment.clock.now(),
      }
      await store.exclusive('policy reports', async () => {
        const old = await superseded(store, row)
        await store.commit((position) => [
          ...[...old].map((reportId) => remove(reportRows, reportId)),
          put(reportRows, { ...row, position }),
        ])
      })
    },

    async list({ limit = MAX_PAGE, before }) {
      const size = Math.min(Math.max(limit, 1), MAX_PAGE)
      const rows = await store.home.range(reportRows, {
        index: 'position',
        ...(before !== undefined && { to: before }),
        direction: 'backward',
        limit: size,
      })
      const last = rows.at(-1)
      return { reports: rows.map(reportOf), ...(last && rows.length === size && { next: last.position }) }
    },

    remove: (reportId) =>
      store.exclusive('policy reports', async () => {
        if (!(await store.home.get(reportRows, reportId))) throw notFound('There is no such report')
        await store.commit(() => [remove(reportRows, reportId)])
      }),
  }
}

/** The reports that a new one takes the place of. */
async function superseded(store: Store, { by, subject }: Pick<ReportRow, 'by' | 'subject'>): Promise<Set<string>> {
  const ids = new Set<string>()
  for (const row of await store.home.range(reportRows, { index: 'subject', from: subject, to: `${subject}\u0000` })) {
    ids.add(row.reportId)
  }
  const own = await store.home.range(reportRows, { index: 'by', from: by, to: `${by}\u0000` })
  const others = own.filter((row) => row.subject !== subject).sort((a, b) => a.position - b.position)
  for (const row of others.slice(0, Math.max(0, others.length - MAX_OF_ONE + 1))) ids.add(row.reportId)
  if (ids.size === 0 && (await store.home.count(reportRows)) >= MAX_KEPT) {
    for (const row of await store.home.range(reportRows, { index: 'position', limit: 1 })) ids.add(row.reportId)
  }
  return ids
}

function reportOf({ position: _, subject: __, kind, ...row }: ReportRow): Report {
  return { ...row, kind: kind as Report['kind'] }
}
