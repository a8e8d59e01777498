import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { specFolder } from '../support/spec.ts'

/** A sentence of the client-server API that says what must or should be. */
export interface PromisedSentence {
  /** The first ten hexadecimal digits of its SHA-256, white space made one: it changes when the sentence does. */
  readonly id: string
  readonly line: number
  readonly text: string
}

/** What the project makes of one: the tests that see it kept (`file › name`), or why no answer of a server can break it. */
export type Kept =
  | { readonly says: string; readonly tests: readonly string[] }
  | { readonly says: string; readonly because: string }

const TEXTS = join(specFolder, 'content/client-server-api')
const APIS = join(specFolder, 'data/api/client-server')

/** By the name of the list that answers them: `_index`, a module's name, or `api/` and an OpenAPI file's. */
export function listPromises(): ReadonlyMap<string, readonly PromisedSentence[]> {
  const files = [
    [join(TEXTS, '_index.md'), '_index'] as const,
    ...readdirSync(join(TEXTS, 'modules')).map(
      (name) => [join(TEXTS, 'modules', name), basename(name, '.md')] as const,
    ),
    ...readdirSync(APIS)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => [join(APIS, name), `api/${basename(name, '.yaml')}`] as const),
  ]
  const found = files.map(([path, name]) => [name, promisesIn(readFileSync(path, 'utf8'))] as const)
  return new Map(found.filter(([, promises]) => promises.length > 0))
}

function promisesIn(text: string): readonly PromisedSentence[] {
  const byId = new Map<string, PromisedSentence>()
  let line = 1
  for (const paragraph of text.split(/(\n\s*\n)/)) {
    for (const sentence of paragraph.replace(/\s+/g, ' ').split(/(?<=[.:;!?]) (?=[^a-z])/)) {
      if (!/\b(must|should)\b/i.test(sentence)) continue
      const id = createHash('sha256').update(sentence.trim()).digest('hex').slice(0, 10)
      if (!byId.has(id)) byId.set(id, { id, line, text: sentence.trim() })
    }
    line += paragraph.split('\n').length - 1
  }
  return [...byId.values()]
}

/** What the project answers to the promises of a list, by their IDs. */
export function readKept(list: string): Readonly<Record<string, Kept>> {
  const path = join(import.meta.dirname, 'promises', `${list}.json`)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, Kept>) : {}
}
