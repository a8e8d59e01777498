/**
 * Simplified sliding sync: a client chooses the rooms that it wants to hear of, and is answered at once where there is something
 * to tell, else when there is. Spec: MSC4186.
 */
import type { SlidingSyncBody } from '../../shared/api/client/sync-msc4186.ts'
import type { AccountDataEntry } from '../accounts/index.ts'
import type { PresenceState } from '../ephemeral/index.ts'
import type { Clock } from '../observe/environment.ts'
import type { Store } from '../store/index.ts'
import type { ChangeMarks } from './change-marks.ts'
import { NO_FILTER } from './filter.ts'
import type { Notifier } from './notifier.ts'
import { accountDataPart } from './sliding-account-data.ts'
import type { AccountFactsOfUsers } from './sliding-account-facts.ts'
import { chooseRooms } from './sliding-choice.ts'
import type { Connection, Connections, Told } from './sliding-connection.ts'
import { confirmToDevice, type DeviceDeps, slidingE2ee, slidingToDevice } from './sliding-devices.ts'
import { receiptsPart, typingPart } from './sliding-ephemeral.ts'
import type { FilterFactsCache } from './sliding-filter-facts.ts'
import type { SlidingRoomDeps } from './sliding-room.ts'
import type { RoomOrders } from './sliding-room-order.ts'
import { slidingRooms } from './sliding-rooms.ts'
import { Wish } from './sliding-wish.ts'
import { MAX_TIMEOUT_MS } from './sync.ts'
import type { Viewer } from './viewer.ts'

/** A request as the edge has it. */
export interface SlidingSyncRequest {
  readonly userId: string
  readonly deviceId: string | null
  readonly body: SlidingSyncBody
  readonly pos?: string | undefined
  /** Milliseconds. */
  readonly timeoutMs?: number | undefined
  readonly setPresence?: PresenceState | undefined
  /** Asked for only when it comes to waiting. Aborted when the client goes or the server stops: the answer is then what there is. */
  readonly signal: () => AbortSignal
}

export interface SlidingDeps extends SlidingRoomDeps, DeviceDeps {
  readonly clock: Clock
  readonly store: Store
  readonly notifier: Notifier
  readonly accountDataMarks: ChangeMarks
  readonly connections: Connections
  readonly orders: RoomOrders
  readonly accountFacts: AccountFactsOfUsers
  readonly filterFacts: FilterFactsCache
}

/** One reading: what would be answered now. */
interface Reading {
  /** The members of the JSON object besides `pos`, each with a comma before it. */
  readonly text: string
  readonly isEmpty: boolean
  readonly told: Told
}

interface Reader {
  readonly connection: Connection
  readonly viewer: Viewer
  readonly wish: Wish
  /** Messages to the device, after those that are there already; `undefined`: not wanted. */
  readonly toDevice: { readonly since: number; readonly limit: number } | undefined
}

export class SlidingSyncs {
  readonly #deps: SlidingDeps

  constructor(deps: SlidingDeps) {
    this.#deps = deps
  }

  /**
   * @returns the answer as JSON text
   * @throws MatrixError 400 M_INVALID_PARAM for too many lists and the like, M_UNKNOWN_POS where the client must begin anew
   */
  async answer(request: SlidingSyncRequest): Promise<string> {
    const { notifier, connections, push, ephemeral, clock, store } = this.#deps
    const { userId, deviceId, body, signal } = request
    const device = { userId, deviceId: deviceId ?? '' }
    const made = new Wish(body, userId)
    const { toDevice: wished } = made.extensions
    const since = await confirmToDevice(this.#deps, device, { since: wished?.since, position: store.position })
    const toDevice = wished && { since, limit: wished.limit }
    const isFirst = request.pos === undefined || request.pos === ''
    const connId = body.conn_id ?? ''
    const connection = isFirst
      ? connections.begin(device, connId)
      : connections.resume(device, connId, request.pos as string)
    const wish = connection.wish?.isSameAs(made) ? connection.wish : made
    const timeoutMs = isFirst ? 0 : Math.min(Math.max(0, request.timeoutMs ?? 0), MAX_TIMEOUT_MS)
    const deadlineTs = clock.now() + timeoutMs
    if (deviceId !== null) {
      ephemeral.presence.syncing({ userId, deviceId, state: request.setPresence ?? 'online', timeoutMs })
    }

    using watch = notifier.watch(userId, device.deviceId)
    connection.request = watch
    for (;;) {
      watch.reset()
      const viewer: Viewer = {
        userId,
        deviceId,
        filter: NO_FILTER,
        ignored: await push.ignored.of(userId),
        useStateAfter: true,
        fullState: false,
      }
      const { text, isEmpty, told } = await this.#read({ connection, viewer, wish, toDevice })
      // Another request has taken its place; whoever still gets this answer knows no more than before.
      if (connection.request !== watch) return this.#nothing(request.pos, connection, told)
      const leftMs = deadlineTs - clock.now()
      if (isEmpty && !isFirst && leftMs > 0) {
        // Nothing is lost where the client asks again from before: there was nothing.
        connection.apply(told)
        const reason = await watch.wait(leftMs, signal())
        if (reason === 'news') continue
        if (reason === 'displaced') return this.#nothing(request.pos, connection, told)
      }
      const answer = connections.nextAnswer()
      connection.await(answer, told)
      connection.request = undefined
      return `{"pos":${JSON.stringify(connections.write(told.position, answer))}${text}}`
    }
  }

  #nothing(pos: string | undefined, { position }: Connection, told: Told): string {
    const { connections } = this.#deps
    const same = pos || connections.write(position ?? told.position, connections.nextAnswer())
    return `{"pos":${JSON.stringify(same)},"lists":{},"rooms":{},"extensions":{}}`
  }

  async #read({ connection, viewer, wish, toDevice }: Reader): Promise<Reading> {
    const { store, orders, accountFacts, filterFacts, ephemeral } = this.#deps
    const { userId, deviceId } = viewer
    // Positions are seen a moment before the slices have told of them: after this turn of the event loop they have.
    await new Promise((resolve) => setImmediate(resolve))
    const upTo = store.position
    const since = connection.position
    const order = await orders.of(userId, upTo)
    const account = await accountFacts.of(userId, upTo)
    const { memberships } = order
    const { ignored } = viewer
    const choice = await chooseRooms(filterFacts, wish, { order, account, ignored, before: connection.choice })
    const changed = await this.#accountData(userId, since, upTo)
    const mustRecount = changed.some(({ roomId, type }) => roomId === null && type === 'm.push_rules')
    const query = { connection, wish, choice, upTo, account, memberships }
    const shown = await slidingRooms(this.#deps, viewer, { ...query, mustRecount })

    const accountData = await accountDataPart(this.#deps, { ...query, userId, changed })
    const receipts = await receiptsPart(ephemeral, viewer, { ...query, shown: shown.shown })
    const typing = typingPart(ephemeral, viewer, query)
    const device = deviceId === null ? undefined : { userId, deviceId }
    const messages = toDevice && device && (await slidingToDevice(this.#deps, device, { ...toDevice, upTo }))
    const e2ee =
      wish.extensions.e2ee && device ? await slidingE2ee(this.#deps, device, { since, upTo, memberships }) : undefined

    const parts = Object.entries({
      to_device: messages?.text,
      e2ee: e2ee?.text,
      account_data: accountData.text,
      receipts: receipts.text,
      typing: typing.text,
    }).flatMap(([name, text]) => (text === undefined ? [] : [`"${name}":${text}`]))
    const hasNews =
      shown.text !== '' ||
      accountData.text !== undefined ||
      receipts.text !== undefined ||
      typing.text !== undefined ||
      messages?.isNews === true ||
      e2ee?.isNews === true ||
      haveChanged(connection.counts, choice.counts)
    const lists = [...choice.counts].map(([name, count]) => `${JSON.stringify(name)}:{"count":${count}}`)
    return {
      text: `,"lists":{${lists.join(',')}},"rooms":{${shown.text}},"extensions":{${parts.join(',')}}`,
      isEmpty: !hasNews,
      told: {
        position: upTo,
        rooms: shown.sent,
        members: shown.members,
        counts: choice.counts,
        globalAccountData: accountData.isGlobalTold,
        accountData: accountData.told,
        receipts: receipts.told,
        typing: typing.told,
        wish,
        choice,
        memberships,
      },
    }
  }

  /** The user's account data that changed since a position. */
  async #accountData(userId: string, since: number | null, upTo: number): Promise<readonly AccountDataEntry[]> {
    const { accounts, accountDataMarks } = this.#deps
    if (since === null || !accountDataMarks.mayHaveChanged(userId, since)) return []
    return accounts.accountDataSince(userId, since, upTo)
  }
}

/** A client that grows its window waits for nothing where it learns that a list has another length. */
function haveChanged(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): boolean {
  return [...now].some(([name, count]) => before.get(name) !== count)
}
