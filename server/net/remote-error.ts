/** How a request to somebody else went wrong. */
export type RemoteFailure = 'unreachable' | 'refused' | 'timeout' | 'badAnswer'

/**
 * A failure of others. `refused` is also our own refusal to go to that address; `unreachable` covers names that do not
 * resolve, connections that fail and certificates that are not good.
 */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  readonly destination: string
  readonly failure: RemoteFailure

  /** @param destination host and port, or a server name; never a URL with a query */
  constructor(destination: string, failure: RemoteFailure, why: string, options?: ErrorOptions) {
    super(`${destination}: ${why}`, options)
    this.destination = destination
    this.failure = failure
  }
}
