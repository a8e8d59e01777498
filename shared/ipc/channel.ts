import type { Static, TSchema } from 'typebox'

/** One way for the page to ask the desktop shell something; what does not fit its schemas goes no further. */
export interface Channel<Q extends TSchema = TSchema, R extends TSchema = TSchema> {
  /** `subject.question`, unique. */
  readonly name: string
  readonly request: Q
  readonly reply: R
}

export type RequestOf<C> = C extends Channel<infer Q, TSchema> ? Static<Q> : never
export type ReplyOf<C> = C extends Channel<TSchema, infer R> ? Static<R> : never

export function channel<Q extends TSchema, R extends TSchema>(declaration: Channel<Q, R>): Channel<Q, R> {
  return declaration
}
