import type { ReplyOf } from '../../shared/ipc/channel.ts'
import type { homeAddress } from '../../shared/ipc/home-address.ts'

/** What the desktop app offers the page, through its preload script. In a browser there is none of it. */
interface Desktop {
  /** The address of the home's own server, which the app has started, and the code that claims it while nobody has. */
  readonly homeAddress: () => Promise<ReplyOf<typeof homeAddress>>
  /** The number to show on the app's icon. */
  readonly showUnreadCount: (count: number) => Promise<null>
}

declare global {
  interface Window {
    readonly hearth?: Desktop
  }
}

const desktop: Desktop | undefined = globalThis.window?.hearth

/** The address of the server that this page belongs to. */
export async function ownServerAddress(): Promise<string> {
  const told = await desktop?.homeAddress()
  return told ? told.url.replace(/\/+$/, '') : location.origin
}

/** The code that claims a new home, where the app knows it. */
export async function desktopClaimCode(): Promise<string | null> {
  return (await desktop?.homeAddress())?.claimCode ?? null
}

/** Shows on the app's icon how many messages wait. */
export function showUnreadCount(count: number): void {
  // an icon without a number is no reason to trouble anybody
  desktop?.showUnreadCount(count).catch(() => undefined)
}

/** What this device is called in the list of one's devices. */
export function deviceName(): string {
  const agent = navigator.userAgent
  const system = /iPhone|iPad/.test(agent)
    ? 'iOS'
    : /Android/.test(agent)
      ? 'Android'
      : /Windows/.test(agent)
        ? 'Windows'
        : /Mac OS X/.test(agent)
          ? 'macOS'
          : /CrOS/.test(agent)
            ? 'ChromeOS'
            : 'Linux'
  if (desktop) return `Hearth (${system})`
  const browser = /Firefox\//.test(agent)
    ? 'Firefox'
    : /Edg\//.test(agent)
      ? 'Edge'
      : /Chrome\//.test(agent)
        ? 'Chrome'
        : /Safari\//.test(agent)
          ? 'Safari'
          : 'Browser'
  return `Hearth (${browser}, ${system})`
}
