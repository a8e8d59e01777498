/** Electron's list: "Do not use shell.openExternal with untrusted content". Only what a browser or mail program opens. */
const OPENED_OUTSIDE: ReadonlySet<string> = new Set(['https:', 'http:', 'mailto:'])

/** Whether a link may be handed to the system. Addresses with a user name in them are refused: they only serve to deceive. */
export function mayOpenOutside(url: string): boolean {
  if (url.length > 8_192 || !URL.canParse(url)) return false
  const { protocol, username, password } = new URL(url)
  return OPENED_OUTSIDE.has(protocol) && username === '' && password === ''
}
