/** The door of `federation/`: the way to other servers, and who they are. */
export type * from './contract.ts'
export { RemoteRefusal } from './remote-refusal.ts'
