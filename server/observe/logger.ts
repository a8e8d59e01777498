import { destination, pino } from 'pino'
import type { LogFields, Logger } from './environment.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** The longest text of one field; stacks fit. */
const MAX_TEXT_LENGTH = 4_000
const SECRET_FIELD = /token(?!Id$)|password|passphrase|secret|authorization|cookie|privatekey|^mac$|^body$|^content$/i
const SECRET_IN_TEXT = /(access_token=|bearer\s+|[a-z]+:\/\/[^/\s:@]+:)[^\s&"'@]+/gi

/**
 * The server's log: one JSON object a line on stderr, with `level`, `time` (ms since the epoch), `event` and the fields.
 * Secrets cannot get in by mistake: fields with a secret's name are dropped to `[hidden]`, tokens and passwords in URLs are
 * cut out of texts, and objects are not written at all.
 *
 * @param level the least that is logged
 */
export function createLogger(level: LogLevel): Logger {
  const log = pino(
    { level, base: null, formatters: { level: (label) => ({ level: label }) } },
    // Written at once: what was logged before a crash is what explains it.
    destination({ fd: 2, sync: true }),
  )
  const write =
    (at: LogLevel) =>
    (fields: LogFields): void => {
      if (log.isLevelEnabled(at)) log[at](loggable(fields))
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

/** What of the fields may be written. */
export function loggable(fields: LogFields): Record<string, unknown> {
  const safe: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) safe[name] = SECRET_FIELD.test(name) ? '[hidden]' : loggableValue(value)
  }
  return safe
}

function loggableValue(value: unknown): unknown {
  if (typeof value === 'string') return withoutSecrets(value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Error) return withoutSecrets(value.stack ?? value.message)
  if (Array.isArray(value))
    return value.slice(0, 50).map((item) => (Array.isArray(item) ? '[list]' : loggableValue(item)))
  return `[${typeof value}]`
}

function withoutSecrets(text: string): string {
  return text.slice(0, MAX_TEXT_LENGTH).replace(SECRET_IN_TEXT, '$1[hidden]')
}
