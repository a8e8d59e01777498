/**
 * The tokens of `/sync`: `since` and `next_batch`. Opaque to clients.
 *
 * `s<position>_<serial>.<run>[!][_d<position>]`: all up to that stream position has been sent, and all up to that serial of
 * typing and presence, which counts anew with each run of the server. `!`: the client was told that somebody types somewhere.
 * `_d`: messages to the device were sent only up to here, because there were many.
 */
import { invalidParam } from '../../shared/matrix/errors.ts'

export interface SyncToken {
  readonly position: number
  /** `undefined` in tokens without it. */
  readonly ephemeral: { readonly serial: number; readonly run: string; readonly sawTyping: boolean } | undefined
  /** At most `position`. */
  readonly toDevice: number
}

const TOKEN = /^s(\d{1,15})(?:_([0-9a-z]{1,10})\.([0-9a-z]{1,16})(!)?)?(?:_d(\d{1,15}))?$/

export function writeToken({ position, ephemeral, toDevice }: SyncToken): string {
  const typed = ephemeral?.sawTyping ? '!' : ''
  const counted = ephemeral ? `_${ephemeral.serial.toString(36)}.${ephemeral.run}${typed}` : ''
  return `s${position}${counted}${toDevice === position ? '' : `_d${toDevice}`}`
}

/** @throws MatrixError 400 M_INVALID_PARAM for what is no token */
export function parseToken(text: string): SyncToken {
  const parts = TOKEN.exec(text)
  if (!parts) throw invalidParam('The since token is not one of this server')
  const [, position, serial, run, typed, toDevice] = parts
  return {
    position: Number(position),
    ephemeral:
      serial === undefined || run === undefined
        ? undefined
        : { serial: Number.parseInt(serial, 36), run, sawTyping: typed !== undefined },
    toDevice: Math.min(Number(position), Number(toDevice ?? position)),
  }
}
