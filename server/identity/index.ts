/** The door of `identity/`: whether an address is really somebody's. */
export { createEmailValidation, type EmailValidation } from './email-validation.ts'
export type { EmailPurpose } from './store.ts'
