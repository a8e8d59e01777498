import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** What `npm start` and the app can be told on the command line. */
export interface StartOptions {
  /** Absolute path of the home's folder, where it is not the usual one. */
  readonly home: string | undefined
  readonly domain: string | undefined
  readonly isBrowserWanted: boolean
  readonly isHelpWanted: boolean
}

export const USAGE = `npm start -- [options]
  --home FOLDER    where the home is, or is to be made (usually the system's folder for programs' data)
  --domain NAME    the name of a new home that has a domain of its own
  --no-browser     open no browser; the page's address is printed`

/**
 * @param args without the program's name
 * @param isStrict whether what is not known is refused; Electron's program also has options of its own
 * @throws Error that names what is not known
 */
export function readStartOptions(args: readonly string[], { isStrict }: { isStrict: boolean }): StartOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      home: { type: 'string' },
      domain: { type: 'string' },
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
    isBrowserWanted: values['no-browser'] !== true,
    isHelpWanted: values.help === true,
  }
}
