/** The server cannot start, for a reason that a person can do something about: exit status 1. The message is one line. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
