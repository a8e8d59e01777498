import { forbidden, MatrixError } from '../../shared/matrix/errors.ts'
import { type Accounts, parseUserIdentifier } from '../accounts/index.ts'

/** Spec: client-server-api §Authentication types. */
export const DUMMY = 'm.login.dummy'
export const PASSWORD = 'm.login.password'
export const REGISTRATION_TOKEN = 'm.login.registration_token'
export const TERMS = 'm.login.terms'
export const EMAIL = 'm.login.email.identity'

/** What the stages of a session have shown. */
export interface Proof {
  /** Whose password was given, or whose mail was read; `null` where no stage asked. */
  readonly userId: string | null
  readonly registrationToken: string | null
  readonly email: EmailProof | null
}

/** An address whose mail was read. */
export interface EmailProof {
  /** The session that shows it; to be consumed once it has served. */
  readonly sid: string
  readonly address: string
  readonly validatedTs: number
}

/** One try at a stage. */
export interface StageTry {
  /** The keys of `auth`. */
  readonly fields: Readonly<Record<string, unknown>>
  /** Of the request that needs the proof. */
  readonly operation: string
  /** Whose proof it must be; `null`: whoever's. */
  readonly userId: string | null
  readonly ip: string
}

/** What the stages ask of the slices. */
export interface StageChecks {
  readonly findByPassword: Accounts['findByPassword']
  /** Whether an account may be made with it now. */
  readonly isRegistrationToken: (token: string) => Promise<boolean>
  /**
   * Who has read a mail that was sent for this operation.
   * @returns `undefined` unless the mail's link was opened; `userId` where the operation is about the address's owner
   */
  readonly findEmailProof: (proof: {
    readonly operation: string
    readonly sid: string
    readonly clientSecret: string
  }) => Promise<{ readonly email: EmailProof; readonly userId: string | null } | undefined>
}

type Stage = (attempt: StageTry) => Promise<Partial<Proof> | MatrixError>

/** Each stage gives what it has shown, or an error for the client to see. */
export function createStages(checks: StageChecks): Readonly<Record<string, Stage>> {
  return {
    [DUMMY]: async () => ({}),
    // Whoever sends it says so.
    [TERMS]: async () => ({}),

    async [PASSWORD]({ fields, userId: wanted, ip }) {
      const { password } = fields
      if (typeof password !== 'string') return forbidden("'password' is missing")
      const userId = await checks.findByPassword({ identifier: parseUserIdentifier(fields), password, ip })
      if (userId === undefined) return forbidden('Wrong username or password')
      if (wanted !== null && userId !== wanted) throw forbidden('This is the password of another user')
      return { userId }
    },

    async [REGISTRATION_TOKEN]({ fields: { token } }) {
      if (typeof token !== 'string') return forbidden("'token' is missing")
      if (!(await checks.isRegistrationToken(token))) return forbidden('This registration token is not valid')
      return { registrationToken: token }
    },

    async [EMAIL]({ fields, operation, userId: wanted }) {
      const { sid, client_secret } = credentialsIn(fields)
      if (typeof sid !== 'string' || typeof client_secret !== 'string') return forbidden("'threepid_creds' is missing")
      const found = await checks.findEmailProof({ operation, sid, clientSecret: client_secret })
      const isOther = wanted !== null && found !== undefined && found.userId !== wanted
      if (!found || isOther) {
        return new MatrixError('M_THREEPID_AUTH_FAILED', 401, 'The link in the mail has not been opened yet')
      }
      return found
    },
  }
}

/** Clients made before the specification's v1.0 write `threepidCreds`. */
function credentialsIn(fields: StageTry['fields']): { sid?: unknown; client_secret?: unknown } {
  const given = fields.threepid_creds ?? fields.threepidCreds
  return typeof given === 'object' && given !== null ? given : {}
}
