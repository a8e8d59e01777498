import { describe, expect, it } from 'vitest'
import { Turns } from '../../server/http/turns.ts'

const forever = new AbortController().signal
const make = () => new Turns({ running: 2, waiting: 3, waitingBytes: 100 })

/** Takes a turn; `got` says whether it has been had. */
function taking(turns: Turns, key: string, bytes = 1, signal = forever) {
  const state: { turn?: Disposable; error?: unknown } = {}
  const done = turns.take(key, bytes, signal).then(
    (turn) => {
      state.turn = turn
    },
    (error: unknown) => {
      state.error = error
    },
  )
  return { state, done }
}
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('turns', () => {
  it('are had at once by a few, in order by a few more, and refused to the rest', async () => {
    const turns = make()
    const all = Array.from({ length: 6 }, () => taking(turns, 'a'))
    await settle()
    expect(all.map(({ state }) => state.turn !== undefined)).toEqual([true, true, false, false, false, false])
    expect(all[5]?.state.error).toMatchObject({
      status: 429,
      errcode: 'M_LIMIT_EXCEEDED',
      extra: { retry_after_ms: 2_000 },
    })
    all[0]?.state.turn?.[Symbol.dispose]()
    all[0]?.state.turn?.[Symbol.dispose]()
    await settle()
    expect(all.map(({ state }) => state.turn !== undefined)).toEqual([true, true, true, false, false, false])
  })

  it('of one do not keep others waiting', async () => {
    const turns = make()
    for (let i = 0; i < 5; i += 1) taking(turns, 'a')
    const other = taking(turns, 'b')
    await other.done
    expect(other.state.turn).toBeDefined()
  })

  it('are refused where those who wait hold too much in memory', async () => {
    const turns = make()
    for (const key of ['a', 'b']) for (let i = 0; i < 2; i += 1) taking(turns, key)
    const large = taking(turns, 'a', 90)
    const other = taking(turns, 'b', 20)
    await other.done
    expect(other.state.error).toMatchObject({ status: 429 })
    expect(large.state.error).toBeUndefined()
  })

  it('are given up by who goes away, and never had after that', async () => {
    const turns = make()
    const [first] = [taking(turns, 'a'), taking(turns, 'a')]
    const gone = new AbortController()
    const leaving = taking(turns, 'a', 90, gone.signal)
    gone.abort(new Error('gone'))
    await leaving.done
    expect(leaving.state.error).toMatchObject({ message: 'gone' })
    const next = taking(turns, 'a', 90)
    await settle()
    first?.state.turn?.[Symbol.dispose]()
    await next.done
    expect([next.state.turn !== undefined, leaving.state.turn]).toEqual([true, undefined])
  })
})
