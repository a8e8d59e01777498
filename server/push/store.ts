import { collection } from '../store/index.ts'

export type PusherRow = {
  /** `pusherId(userId, appId, pushkey)`. */
  readonly id: string
  readonly userId: string
  readonly kind: string
  readonly appId: string
  readonly pushkey: string
  readonly appDisplayName: string
  readonly deviceDisplayName: string
  readonly profileTag: string | null
  readonly lang: string
  /** JSON of what the client gave, `url` among it. */
  readonly data: string
  /** The device whose access token set it; `null`: an application service without one. */
  readonly deviceId: string | null
  /** When it was last set, in milliseconds since the epoch. */
  readonly setTs: number
  /** Stream position of the commit that made it: only later events are pushed. */
  readonly position: number
  /** Whoever has it may end mails; `null` for all but those. */
  readonly unsubscribeKey: string | null
}
/** Few: all of them are in memory. */
export const pusherRows = collection<PusherRow>({ name: 'pushers', place: 'home', key: 'id', indexes: [] })

export type ProgressRow = {
  /** Of the pusher. */
  readonly id: string
  /** What came up to this stream position is delivered, given up or read. */
  readonly position: number
  /** The number of unread events that it was last told; `null`: none yet. */
  readonly toldUnread: number | null
  /** Of mails: when the last one went out, and how long the next one has to wait after it. */
  readonly mailedTs: number | null
  readonly gapMs: number | null
}
/** How far each pusher has come. Apart from the pushers, so that writing it late brings no removed one back. */
export const progressRows = collection<ProgressRow>({ name: 'pusher-progress', place: 'home', key: 'id', indexes: [] })

export type VapidRow = {
  readonly id: 'vapid'
  readonly publicKey: string
  readonly privateKey: string
}
/** The key pair by which push services know us; made once, since subscriptions are bound to it. */
export const vapidRows = collection<VapidRow>({ name: 'vapid-key', place: 'home', key: 'id', indexes: [] })
