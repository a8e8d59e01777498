/** Whether a text is a whole address, such as `@anna:home.test`. Spec: appendices §User Identifiers. */
export function isAddress(text: string): boolean {
  return text.length <= 255 && /^@[\u0021-\u0039\u003b-\u007e]+:[A-Za-z0-9.:[\]-]+$/.test(text)
}

/**
 * Addresses out of a line that people wrote, apart by spaces, commas or semicolons. A bare name lives at the own server.
 * @returns whole addresses, and the parts that are none
 */
export function readAddresses(
  text: string,
  ownServer: string,
): { addresses: readonly string[]; bad: readonly string[] } {
  const addresses = new Set<string>()
  const bad: string[] = []
  for (const part of text.split(/[\s,;]+/)) {
    if (part === '') continue
    const whole = part.includes(':')
      ? part.startsWith('@')
        ? part
        : `@${part}`
      : `@${part.replace(/^@/, '').toLowerCase()}:${ownServer}`
    if (isAddress(whole)) addresses.add(whole)
    else bad.push(part)
  }
  return { addresses: [...addresses], bad }
}
