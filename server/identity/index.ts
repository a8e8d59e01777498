/** The door of `identity/`: whether an address is really somebody's. */
export { createEmailValidation, type EmailPurpose, type EmailValidation } from './email-validation.ts'
