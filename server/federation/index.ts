/** The door of `federation/`: the way to other servers, and who they are. */

export { AtMost } from './at-most.ts'
export type { BlockedServers } from './blocked-servers.ts'
export type * from './contract.ts'
export { createFederation, type Federation } from './create-federation.ts'
export {
  createIncomingTransactions,
  type IncomingTransactions,
} from './incoming-transactions.ts'
export { isSelfNamed, type OwnKeys, selfNameOf } from './key-document.ts'
export type { KeyRing } from './keys.ts'
export type { Notary } from './notary.ts'
export type { OutboxService } from './outbox/outbox.ts'
export { RemoteRefusal } from './remote-refusal.ts'
export type { LookupSrv } from './resolve-name.ts'
