/**
 * `event_fields` of a filter: only some properties of each event.
 * Spec: client-server-api §Filtering; appendices §Dot-separated property paths.
 */
import { isJsonObject } from '../protocol/json.ts'
import type { Json, JsonObject } from '../protocol/pdu.ts'

/** A path taken apart: `content.m\.relates_to` is `['content', 'm.relates_to']`. */
export function parsePath(path: string): readonly string[] {
  const names: string[] = []
  let name = ''
  for (let i = 0; i < path.length; i += 1) {
    const character = path[i] as string
    const next = path[i + 1]
    if (character === '\\' && (next === '.' || next === '\\')) {
      name += next
      i += 1
    } else if (character === '.') {
      names.push(name)
      name = ''
    } else name += character
  }
  names.push(name)
  return names
}

/** A tree of the names to keep; a name without branches keeps all below it. */
interface Kept {
  readonly names: Map<string, Kept>
  all: boolean
}

/**
 * @param paths `event_fields` of the filter
 * @returns a function from an event's JSON text to that of the event with only these fields
 */
export function fieldPicker(paths: readonly string[]): (eventText: string) => string {
  const root: Kept = { names: new Map(), all: false }
  for (const path of paths) {
    let at = root
    for (const name of parsePath(path)) {
      const next = at.names.get(name) ?? { names: new Map(), all: false }
      at.names.set(name, next)
      at = next
    }
    at.all = true
  }
  return (eventText) => JSON.stringify(pick(JSON.parse(eventText) as JsonObject, root))
}

function pick(value: JsonObject, kept: Kept): JsonObject {
  const picked: [string, Json][] = []
  for (const [name, inner] of Object.entries(value)) {
    const wanted = kept.names.get(name)
    if (!wanted) continue
    if (wanted.all) picked.push([name, inner])
    else if (isJsonObject(inner)) {
      const some = pick(inner, wanted)
      if (Object.keys(some).length > 0) picked.push([name, some])
    }
  }
  return Object.fromEntries(picked)
}
