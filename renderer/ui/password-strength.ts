/** How hard a password is to guess: 0 too short to accept, 1 weak, 2 fair, 3 good, 4 very good. */
export type Strength = 0 | 1 | 2 | 3 | 4

/** The least that we accept. */
export const MIN_LENGTH = 8

/**
 * A rough guess, for a hint and not for a judgement: length counts most, variety some, repetition and runs (`aaaa`,
 * `1234`, `qwerty`) little. What it calls very good is a long sentence or a random word of 16.
 * @param avoid words that others know about this person, such as their name
 */
export function strengthOf(password: string, avoid: readonly string[] = []): Strength {
  if ([...password].length < MIN_LENGTH) return 0
  let rest = password.toLowerCase()
  for (const word of [...avoid, ...COMMON]) {
    if (word.length >= 3) rest = rest.replaceAll(word.toLowerCase(), word.charAt(0).toLowerCase())
  }
  const letters = [...rest]
  // a letter that continues a run or a repetition adds almost nothing
  const telling = letters.filter((letter, at) => {
    const step = (letter.codePointAt(0) ?? 0) - (letters[at - 1]?.codePointAt(0) ?? 0)
    return at === 0 || Math.abs(step) > 1
  }).length
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^\p{L}\d]/u, /\p{L}(?<![A-Za-z])/u].filter((kind) =>
    kind.test(password),
  ).length
  const distinct = new Set(letters).size
  const score = Math.min(telling, distinct * 2) + (kinds - 1) * 2
  if (score < 8) return 1
  if (score < 12) return 2
  return score < 18 ? 3 : 4
}

const COMMON = [
  'password',
  'passwort',
  'qwerty',
  'qwertz',
  'azerty',
  'asdfgh',
  'letmein',
  'welcome',
  'willkommen',
  'iloveyou',
  'hallo',
  'hello',
  'admin',
  'hearth',
  'matrix',
  'dragon',
  'sunshine',
  'monkey',
  'football',
  'abc123',
]
