import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a test that needs Synapse's Python has found. */
export type SynapsePython = { readonly path: string } | { readonly missing: string }

/**
 * A Python that has the package `matrix-synapse`: the one that the environment variable `HEARTH_SYNAPSE_PYTHON` names, or
 * else `.cache/synapse/bin/python` below the project's root.
 */
export function findSynapsePython(): SynapsePython {
  const path =
    process.env.HEARTH_SYNAPSE_PYTHON ?? fileURLToPath(new URL('../../.cache/synapse/bin/python', import.meta.url))
  try {
    execFileSync(path, ['-c', 'import synapse.synapse_rust'], { stdio: 'ignore', timeout: 60_000 })
    return { path }
  } catch {
    // No such file, or a Python without it: both mean that these tests cannot be run here.
    return { missing: `no Python with matrix-synapse at ${path}; set HEARTH_SYNAPSE_PYTHON to one` }
  }
}
