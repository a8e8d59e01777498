/**
 * The schema with records that check the value of every key. TypeBox's own say `^.*$` of their keys, which a key with a line
 * break does not match, and then its value goes unchecked; `additionalProperties` means every key.
 */
export function strictRecords(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strictRecords)
  if (typeof schema !== 'object' || schema === null) return schema
  const copy: Record<string, unknown> = {}
  for (const key of Object.getOwnPropertyNames(schema)) {
    const descriptor = Object.getOwnPropertyDescriptor(schema, key) as PropertyDescriptor
    // TypeBox keeps its own marks in properties that are not enumerable.
    Object.defineProperty(
      copy,
      key,
      descriptor.enumerable
        ? { value: strictRecords(descriptor.value), enumerable: true, writable: true, configurable: true }
        : descriptor,
    )
  }
  const patterns = copy.patternProperties as Record<string, unknown> | undefined
  if (patterns && typeof patterns === 'object' && '^.*$' in patterns && copy.additionalProperties === undefined) {
    const { '^.*$': every, ...others } = patterns
    copy.additionalProperties = every
    copy.patternProperties = others
  }
  return copy
}
