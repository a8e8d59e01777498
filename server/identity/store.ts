import { collection } from '../store/index.ts'

/** What an opened link allows, and nothing else. */
export type EmailPurpose = 'register' | 'add' | 'reset'

export type EmailSessionRow = {
  readonly sid: string
  readonly purpose: EmailPurpose
  /** Canonical. */
  readonly address: string
  readonly clientSecretHash: string
  /** Digest of purpose, address and client secret: what a client means when it asks for another mail. */
  readonly attempt: string
  readonly sendAttempt: number
  /** Digest of what the newest mail's link holds; `''`: there is no link, and none will be opened. */
  readonly tokenHash: string
  readonly nextLink: string | null
  /** The account that gets the address with the link, without anybody coming back for it; not there in rows of others. */
  readonly userId: string | null
  /** When the link was opened. */
  readonly validatedTs: number | null
  readonly expiresTs: number
}
export const emailSessionRows = collection<EmailSessionRow>({
  name: 'email-sessions',
  place: 'home',
  key: 'sid',
  indexes: ['attempt', 'tokenHash', 'expiresTs'],
})
