/**
 * What the core gets from outside, so that several servers can run in one process under one seed.
 * Disk comes in through `store/`, transport through `net/`.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once after at least `delayMs`; the returned function cancels. Never keeps the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

export interface Random {
  /** Uniform in [0, 1). */
  number(): number
  /** Fresh bytes, cryptographically random outside tests. */
  bytes(count: number): Buffer
}

/** One event name and fields; never tokens, passwords or contents. */
export interface Logger {
  debug(fields: LogFields): void
  info(fields: LogFields): void
  warn(fields: LogFields): void
  error(fields: LogFields): void
}
export type LogFields = { readonly event: string; readonly [field: string]: unknown }

/** The part of the environment that every slice may ask for. */
export interface Environment {
  readonly serverName: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}
