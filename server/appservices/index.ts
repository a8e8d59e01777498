/** The door of `appservices/`: registrations of application services. Spec: application-service-api. */
export { type Registration, RegistrationError, readRegistrations } from './registration.ts'
