/** The door of `net/`: sockets that listen, and the one way out to the network. */
export { AddressGuard } from './address-guard.ts'
export { type Listener, listen } from './listeners.ts'
export { createOutbound, guardedLookup, type LookupAll, type Outbound, type OutboundAnswer } from './outbound.ts'
export { RemoteError } from './remote-error.ts'
export { systemLookupSrv } from './srv.ts'
export { readTrustedCa } from './trust.ts'
