/** The door of `household/`: the home as a whole, its name, who took it into use, and how others come in. */
export type { Admission } from './admission.ts'
export { createHousehold, type Household } from './create-household.ts'
export type { GuestAccess } from './guest-access.ts'
export type { RegistrationToken, RegistrationTokens } from './registration-tokens.ts'
export { type Policies, type Terms, translationOf } from './terms.ts'
