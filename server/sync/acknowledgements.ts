/**
 * Messages to devices that have arrived: e2ee is told once, and then they go.
 */
import type { E2eeForReaders } from '../e2ee/index.ts'
import { deviceMark } from './batch.ts'
import type { ChangeMarks } from './change-marks.ts'

const MAX_REMEMBERED = 10_000

export class Acknowledgements {
  readonly #e2ee: E2eeForReaders
  readonly #toDeviceMarks: ChangeMarks
  /** By device: up to where e2ee was told that messages have arrived. */
  readonly #upTo = new Map<string, number>()

  constructor(e2ee: E2eeForReaders, toDeviceMarks: ChangeMarks) {
    this.#e2ee = e2ee
    this.#toDeviceMarks = toDeviceMarks
  }

  /** The client has shown with its token that it got all messages up to a position. */
  async note(device: { readonly userId: string; readonly deviceId: string }, upTo: number): Promise<void> {
    const key = deviceMark(device.userId, device.deviceId)
    const before = this.#upTo.get(key)
    // Nothing has come for the device since it was last told.
    if (before !== undefined && (before >= upTo || !this.#toDeviceMarks.mayHaveChanged(key, before))) return
    await this.#e2ee.acknowledgeToDevice(device, upTo)
    this.#upTo.delete(key)
    this.#upTo.set(key, upTo)
    for (const oldest of this.#upTo.keys()) {
      if (this.#upTo.size <= MAX_REMEMBERED) break
      this.#upTo.delete(oldest)
    }
  }
}
