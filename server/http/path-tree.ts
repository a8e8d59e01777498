import type { Endpoint } from '../../shared/api/endpoint.ts'
import { invalidParam } from '../../shared/matrix/errors.ts'

/** One endpoint at one of its URLs. */
interface Leaf<T> {
  readonly value: T
  /** Where in the path each parameter stands: its segment's index. */
  readonly params: readonly { readonly name: string; readonly segment: number }[]
  /** Parameters that this URL lacks; they are empty. */
  readonly absent: readonly string[]
}

interface Branch<T> {
  readonly statics: Map<string, Branch<T>>
  param: Branch<T> | null
  leaves: Map<string, Leaf<T>> | null
}

export interface Found<T> {
  readonly value: T
  /** Path parameters, percent-decoded once. */
  readonly path: Record<string, string>
}

const newBranch = <T>(): Branch<T> => ({ statics: new Map(), param: null, leaves: null })

/**
 * Finds the endpoint of a path. Paths are split at `/` before anything is decoded, so an encoded slash stays inside its
 * parameter; an empty segment is never a parameter; fixed segments win over parameters.
 */
export class PathTree<T> {
  readonly #root: Branch<T> = newBranch()

  /** @throws Error where method and path are taken: two declarations that cannot both be served */
  add(method: string, url: string, allParams: readonly string[], value: T): void {
    const params: { name: string; segment: number }[] = []
    let branch = this.#root
    for (const [i, segment] of url.split('/').entries()) {
      const name = /^\{(\w+)\}$/.exec(segment.trim())?.[1]
      if (name === undefined) {
        const next = branch.statics.get(segment) ?? newBranch<T>()
        branch.statics.set(segment, next)
        branch = next
      } else {
        params.push({ name, segment: i })
        branch.param ??= newBranch()
        branch = branch.param
      }
    }
    branch.leaves ??= new Map()
    if (branch.leaves.has(method)) throw new Error(`${method} ${url} is declared twice`)
    const there = new Set(params.map((param) => param.name))
    branch.leaves.set(method, { value, params, absent: allParams.filter((name) => !there.has(name)) })
  }

  /**
   * @param pathname the path as it came, still encoded
   * @returns the endpoint, or the methods that the path knows (none: an unknown path)
   * @throws MatrixError 400 M_INVALID_PARAM where a parameter is not percent-encoded UTF-8
   */
  find(method: string, pathname: string): Found<T> | readonly string[] {
    const segments = pathname.split('/')
    const others = new Set<string>()
    const leaf = this.#search(this.#root, segments, 0, method, others)
    if (!leaf) return [...others]
    const path: Record<string, string> = {}
    for (const { name, segment } of leaf.params) path[name] = decodeSegment(segments[segment] as string, name)
    for (const name of leaf.absent) path[name] = ''
    return { value: leaf.value, path }
  }

  #search(
    branch: Branch<T>,
    segments: readonly string[],
    at: number,
    method: string,
    others: Set<string>,
  ): Leaf<T> | undefined {
    if (at === segments.length) {
      const leaf = branch.leaves?.get(method)
      if (!leaf && branch.leaves) for (const other of branch.leaves.keys()) others.add(other)
      return leaf
    }
    const segment = segments[at] as string
    const fixed = branch.statics.get(segment)
    const leaf = fixed && this.#search(fixed, segments, at + 1, method, others)
    if (leaf || !branch.param || segment === '') return leaf
    return this.#search(branch.param, segments, at + 1, method, others)
  }
}

function decodeSegment(segment: string, name: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    // The only error there is: URIError for bytes that are no UTF-8 or a lone `%`.
    throw invalidParam(`'${name}' is not percent-encoded UTF-8`)
  }
}

const OLD_PREFIXES: readonly (readonly [string, readonly string[]])[] = [
  ['/_matrix/client/v3/', ['/_matrix/client/r0/']],
  ['/_matrix/media/v3/', ['/_matrix/media/r0/', '/_matrix/media/v1/']],
]

/** Every URL that an endpoint answers at: its own, its aliases, and all of them under the prefixes of before v1.1. */
export function urlsOf(endpoint: Endpoint): readonly string[] {
  const urls = [endpoint.url, ...(endpoint.aliases ?? [])]
  const old = urls.flatMap((url) =>
    OLD_PREFIXES.filter(([now]) => url.startsWith(now)).flatMap(([now, before]) =>
      before.map((prefix) => prefix + url.slice(now.length)),
    ),
  )
  return [...new Set([...urls, ...old])]
}
