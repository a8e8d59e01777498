/**
 * A hue for somebody without a picture: the same for the same address everywhere, from eight that carry white text.
 * @returns 0 to 7
 */
export function hueOf(seed: string): number {
  let hash = 2166136261
  for (let at = 0; at < seed.length; at++) hash = Math.imul(hash ^ seed.charCodeAt(at), 16777619)
  return (hash >>> 0) % 8
}

/** One or two letters of a name; signs before it (`#`, `@`, `!`) do not count. `?` where there is nothing to take. */
export function initialsOf(name: string): string {
  const words = name
    .replace(/^[\s#@!+]+/, '')
    .split(/[\s._-]+/)
    .filter((word) => word !== '')
  const first = firstLetter(words[0])
  const second = words.length > 1 ? firstLetter(words.at(-1)) : ''
  return (first + second).toLocaleUpperCase() || '?'
}

function firstLetter(word: string | undefined): string {
  if (!word) return ''
  const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  for (const { segment } of segmenter.segment(word)) return segment
  return ''
}
