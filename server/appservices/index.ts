/** The door of `appservices/`: registrations, who acts as whom, what is asked of and told to bridges. Spec: application-service-api. */
export { APPLICATION_SERVICE, type Appservices, createAppservices } from './create-appservices.ts'
export { type Registration, RegistrationError, readRegistrations } from './registration.ts'
export { instanceIdOf, type ThirdParty } from './third-party.ts'
