/** The store's door: everything that lasts goes through here. The contract is in `contract.ts`, the design in `../DECISIONS.md`. */
export {
  type Collection,
  collection,
  type Op,
  orderKey,
  put,
  type Range,
  type Reader,
  type RoomLease,
  type Row,
  remove,
  type Scalar,
  StorageFailed,
  StorageFull,
  type Store,
} from './contract.ts'
export type { Disk, DiskFile } from './disk.ts'
export type { DiskStore } from './disk-store.ts'
export { StoreDamaged, StoreLocked, UnknownFormat } from './errors.ts'
export type { StoreLimits } from './limits.ts'
export { nodeDisk } from './node-disk.ts'
export { openStore } from './open.ts'
