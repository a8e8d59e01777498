import type { Refusal } from './contract.ts'

/** Another server's answer that it will not: its error, as it said it. */
export class RemoteRefusal extends Error implements Refusal {
  override readonly name = 'RemoteRefusal'
  readonly destination: string
  readonly status: number
  readonly errcode: string
  readonly error: string
  readonly body: Refusal['body']

  constructor(destination: string, { status, errcode, error, body }: Refusal) {
    super(`${destination} answered ${status} ${errcode}`)
    this.destination = destination
    this.status = status
    this.errcode = errcode
    this.error = error
    this.body = body
  }
}
