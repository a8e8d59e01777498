import type { IpcMain, IpcMainInvokeEvent } from 'electron'
import { Check } from 'typebox/value'
import type { Channel, ReplyOf, RequestOf } from '../../shared/ipc/channel.ts'
import { isOurs } from '../security/navigation.ts'

/** Only our own page's top frame may ask. Electron's list: "Validate the sender of all IPC messages". */
export function isOurPage(event: Pick<IpcMainInvokeEvent, 'senderFrame'>): boolean {
  const frame = event.senderFrame
  return frame !== null && frame.parent === null && isOurs(frame.url)
}

/**
 * Binds a channel to its handler. The one place that touches `ipcMain`.
 * @throws to the page, for another sender and for a request that does not fit; the handler then never runs
 */
export function register<C extends Channel>(
  ipcMain: Pick<IpcMain, 'handle'>,
  channel: C,
  handle: (request: RequestOf<C>) => Promise<ReplyOf<C>>,
): void {
  ipcMain.handle(channel.name, async (event, request: unknown) => {
    if (!isOurPage(event)) throw new Error('not for this page')
    if (!Check(channel.request, request)) throw new Error(`${channel.name}: the request does not fit`)
    const reply = await handle(request as RequestOf<C>)
    if (!Check(channel.reply, reply)) throw new Error(`${channel.name}: the reply does not fit`)
    return reply
  })
}
