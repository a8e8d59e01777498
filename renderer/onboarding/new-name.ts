import { localNameOf } from '../matrix/index.ts'

/** Whether a name may become the first part of a new address. Spec: appendices §User Identifiers. */
export function isGoodName(typed: string): boolean {
  const name = localNameOf(typed)
  return name.length <= 200 && /^[a-z0-9._=/+-]+$/.test(name)
}

/** The address that a name would have. */
export function addressFor(typed: string, serverName: string): string {
  return `@${localNameOf(typed)}:${serverName}`
}
