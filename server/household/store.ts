import { collection } from '../store/index.ts'

export type HomeRow = {
  readonly id: 'home'
  readonly name: string
}
/** One row, once the home has a name. */
export const homeRows = collection<HomeRow>({ name: 'household', place: 'home', key: 'id', indexes: [] })

export type ClaimCodeRow = {
  readonly id: 'claim-code'
  readonly code: string
}
/** One row, until the home is claimed: the link with the code stays good over restarts. */
export const claimCodeRows = collection<ClaimCodeRow>({ name: 'claim-code', place: 'home', key: 'id', indexes: [] })

export type RegistrationTokenRow = {
  /** `bareCode` of the token. */
  readonly code: string
  readonly token: string
  readonly note: string
  readonly usesAllowed: number
  readonly uses: number
  readonly createdBy: string
  readonly createdTs: number
  readonly expiresTs: number
}
/** In clear, so that whoever made one can show it again: it opens nothing but a new account, and can be taken back. */
export const registrationTokenRows = collection<RegistrationTokenRow>({
  name: 'registration-tokens',
  place: 'home',
  key: 'code',
  indexes: ['expiresTs'],
})

export type TermsRow = {
  readonly id: 'terms'
  /** The policies as JSON text, as clients get them. */
  readonly json: string
}
/** One row, where an administrator has set terms. */
export const termsRows = collection<TermsRow>({ name: 'terms', place: 'home', key: 'id', indexes: [] })

export type GuestAccessRow = {
  readonly id: 'guest-access'
}
/** One row, while guests are let in. */
export const guestAccessRows = collection<GuestAccessRow>({
  name: 'guest-access',
  place: 'home',
  key: 'id',
  indexes: [],
})

export type AcceptedTermsRow = {
  readonly userId: string
  /** Versions by policy ID, as JSON text. */
  readonly json: string
  readonly acceptedTs: number
}
/** What people have agreed to when they made their account. */
export const acceptedTermsRows = collection<AcceptedTermsRow>({
  name: 'accepted-terms',
  place: 'home',
  key: 'userId',
  indexes: [],
})
