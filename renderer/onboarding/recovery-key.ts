/** The groups of a recovery key as it is shown: `EsTc 7hK9 …`. */
export function groupsOf(key: string): readonly string[] {
  return key.split(/\s+/).filter((group) => group !== '')
}

/**
 * Which group to ask for, counted from 1. Never the first: each key begins alike.
 * @param random in [0, 1)
 */
export function pickGroup(count: number, random: number): number {
  if (count < 2) return 1
  return 2 + Math.floor(random * (count - 1))
}

/**
 * Finds a recovery key in a text: the file that we wrote, or whatever it was pasted into.
 * A key is 58 letters of base58, and begins with `Es`.
 * @returns the key without spaces, or `undefined`
 */
export function findRecoveryKey(text: string): string | undefined {
  const line = /(?:^|[^1-9A-HJ-NP-Za-km-z])(Es(?:[ \t]*[1-9A-HJ-NP-Za-km-z]){46,58})(?![1-9A-HJ-NP-Za-km-z])/.exec(
    text,
  )?.[1]
  return line?.replace(/\s+/g, '')
}
