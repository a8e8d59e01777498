/** The home's server in a process of its own, from the moment that process was made. */
export interface HomeStart {
  /** Rejects with what a person can be told where it does not come to run, or is stopped before. */
  readonly ready: Promise<RunningHome>
  /** Stops it gracefully, now or as soon as it can be; resolves when its process has ended. Again is no error. */
  stop(): Promise<void>
}

/** The home's server, answering. */
export interface RunningHome {
  /** Where clients on this machine reach it, without a slash at the end. */
  readonly url: string
  /** What claims the home while nobody has; `null` afterwards. */
  claimCode(): string | null
  /** Told once if it ends without having been asked to. */
  onExit(listener: (why: string) => void): void
}
