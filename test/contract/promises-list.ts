/**
 * Prints what the specification promises and no list answers yet: `node test/contract/promises-list.ts [LIST]`.
 * The lists are `promises/LIST.json`.
 */
import { listPromises, readKept } from './promises.ts'

const wanted = process.argv[2]
for (const [list, promises] of listPromises()) {
  if (wanted !== undefined && list !== wanted) continue
  const kept = readKept(list)
  const open = promises.filter(({ id }) => kept[id] === undefined)
  if (open.length === 0) continue
  console.log(`\n# ${list}: ${open.length} of ${promises.length}`)
  if (wanted !== undefined) for (const { id, line, text } of open) console.log(`${id} (${line}) ${text}`)
}
