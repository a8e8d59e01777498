import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** So many bytes may lie about: a collection of young objects takes about 0.3 ms, however many bytes it frees. */
const COLLECT_AT_BYTES = 4 * 1024 * 1024

type Collect = (options: { readonly type: 'minor' }) => void
let collect: Collect | undefined
let deadBytes = 0

/**
 * To be told of buffers that were needed for a moment: pieces of an upload, say. Their bytes lie outside of V8's heap, where
 * the young generation, which would free them cheaply, does not notice them; what does notice them is the limit for all
 * memory, and then the whole heap is marked, once for every few uploads (measured: two thirds of an upload's CPU). So the
 * young generation is collected by the bytes instead.
 */
export function noteDeadBytes(bytes: number): void {
  deadBytes += bytes
  if (deadBytes < COLLECT_AT_BYTES) return
  deadBytes = 0
  collect ??= findCollector()
  collect({ type: 'minor' })
}

/** Node shows its collector only to contexts that are made while this flag is set. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc')
  const found = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return found
}
