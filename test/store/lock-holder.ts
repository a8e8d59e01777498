/** Opens the store of the folder it is given, says so, and holds it until it is told to end. */
import { openStore } from '../../server/store/index.ts'

try {
  const store = await openStore({ dir: process.argv[2] as string })
  process.stdout.write('open\n')
  const alive = setInterval(() => {}, 60_000)
  process.once('SIGTERM', () => {
    clearInterval(alive)
    void store[Symbol.asyncDispose]()
  })
} catch (error) {
  process.stdout.write(`${String(error)}\n`)
}
