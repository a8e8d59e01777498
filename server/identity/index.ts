/** The door of `identity/`: whether an address is really somebody's. */
export { createEmailValidation, type EmailValidation, type OpenLink } from './email-validation.ts'
export { createKeyValidity, type IsKeyValid } from './key-validity.ts'
export type { EmailPurpose } from './store.ts'
