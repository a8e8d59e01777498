// Whether what was built is made from just the sources that are there. The mark is two hashes: of the sources' sizes and times,
// which is quickly looked at, and of their contents, which stays the same in another checkout.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's top folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const LOCK_FILE = 'package-lock.json'

/** @param build `out`: the folder of what was built; `from`: the folders of its sources, both below the top folder */
export function isFresh({ out, from }) {
  let mark
  try {
    mark = JSON.parse(readFileSync(markFile(out), 'utf8'))
  } catch {
    // Not built yet, or not by us.
    return false
  }
  const files = sourcesIn(from)
  return mark.times === timesHash(files) || mark.contents === contentsHash(files)
}

/** To be called before the build, so that what changes during it counts as changed; @returns writes the mark after the build */
export function beginMark({ out, from }) {
  const files = sourcesIn(from)
  const mark = JSON.stringify({ times: timesHash(files), contents: contentsHash(files) })
  return () => writeFileSync(markFile(out), mark)
}

const markFile = (out) => join(root, out, '.built-from.json')

function timesHash(files) {
  const hash = createHash('sha256')
  for (const file of files) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file}\n${size}\n${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function contentsHash(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(`\n${file}\n`).update(readFileSync(join(root, file)))
  return hash.digest('hex')
}

function sourcesIn(folders) {
  return [LOCK_FILE, ...folders.flatMap(filesUnder).sort()]
}

function filesUnder(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'dist' || entry.name.startsWith('.') || entry.name.endsWith('.md')) return []
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesUnder(path) : [path]
  })
}
