import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** What `npm start` and the app can be told on the command line. */
export interface StartOptions {
  /** Absolute path of the home's folder, where it is not the usual one. */
  readonly home: string | undefined
  readonly domain: string | undefined
  /** 1 to 65535. */
  readonly port: number | undefined
  readonly isBrowserWanted: boolean
  readonly isHelpWanted: boolean
}

export const USAGE = `npm start -- [options]
  --home FOLDER    where the home is, or is to be made (usually the system's folder for programs' data)
  --domain NAME    the name of a new home that has a domain of its own
  --port NUMBER    where a new home listens on this machine (usually the first free port from 8008 on)
  --no-browser     open no browser; the page's address is printed`

/**
 * @param args without the program's name
 * @param isStrict whether what is not known is refused; Electron's program also has options of its own
 * @throws Error that names what is not known, or is no port
 */
export function readStartOptions(args: readonly string[], { isStrict }: { isStrict: boolean }): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      home: { type: 'string' },
      domain: { type: 'string' },
      port: { type: 'string' },
      'no-browser': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
    strict: isStrict,
    allowPositionals: !isStrict,
  })
  const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
  const home = text(values.home)
  return {
    home: home === undefined ? undefined : resolve(home),
    domain: text(values.domain),
    port: portOf(text(values.port)),
    isBrowserWanted: values['no-browser'] !== true,
    isHelpWanted: values.help === true,
  }
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
    throw new Error(`'--port' needs a number from 1 to 65535, not ${text}`)
  return port
}
