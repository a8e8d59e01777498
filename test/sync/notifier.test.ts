import { describe, expect, it } from 'vitest'
import { Notifier } from '../../server/sync/notifier.ts'
import { manualClock } from '../support/manual-clock.ts'

const never = new AbortController().signal
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('waking of waiting syncs', () => {
  it('wakes the users who are told, and no others', async () => {
    const notifier = new Notifier(manualClock())
    using alice = notifier.watch('@alice:x', 'A')
    using bob = notifier.watch('@bob:x', 'B')
    const waiting = alice.wait(1_000, never)
    let bobWoke = false
    void bob.wait(1_000, never).then(() => {
      bobWoke = true
    })
    notifier.tellAll(new Set(['@alice:x', '@nobody:x', '@somebody:x']))
    expect(await waiting).toBe('news')
    await turn()
    expect(bobWoke).toBe(false)
    expect(notifier.stats).toEqual({ waits: 2, wakes: 1 })
  })

  it('wakes once for all that is told in one turn', async () => {
    const notifier = new Notifier(manualClock())
    using watch = notifier.watch('@alice:x', 'A')
    const waiting = watch.wait(1_000, never)
    for (let i = 0; i < 10; i += 1) notifier.tell('@alice:x')
    await waiting
    expect(notifier.stats.wakes).toBe(1)
  })

  it('does not miss what is told between listening and waiting', async () => {
    const notifier = new Notifier(manualClock())
    using watch = notifier.watch('@alice:x', 'A')
    watch.reset()
    notifier.tell('@alice:x')
    expect(await watch.wait(1_000, never)).toBe('news')
    watch.reset()
    const waiting = watch.wait(1_000, never)
    notifier.tell('@alice:x')
    expect(await waiting).toBe('news')
  })

  it('wakes one device where only that one is meant', async () => {
    const notifier = new Notifier(manualClock())
    using phone = notifier.watch('@alice:x', 'PHONE')
    using laptop = notifier.watch('@alice:x', 'LAPTOP')
    const waiting = phone.wait(1_000, never)
    void laptop.wait(1_000, never)
    notifier.tellDevice('@alice:x', 'PHONE')
    expect(await waiting).toBe('news')
    await turn()
    expect(notifier.stats.wakes).toBe(1)
  })

  it('ends with its time, with its client, and for a newer one of the same device', async () => {
    const clock = manualClock()
    const notifier = new Notifier(clock)
    using watch = notifier.watch('@alice:x', 'A')
    const timed = watch.wait(1_000, never)
    clock.advance(1_000)
    expect(await timed).toBe('timeout')
    const client = new AbortController()
    const aborted = watch.wait(1_000, client.signal)
    client.abort()
    expect(await aborted).toBe('aborted')
    expect(await watch.wait(1_000, client.signal)).toBe('aborted')
    const displaced = watch.wait(1_000, never)
    const others = Array.from({ length: 5 }, () => notifier.watch('@alice:x', 'A'))
    expect(await displaced).toBe('displaced')
    for (const other of others) other[Symbol.dispose]()
  })

  it('forgets a sync that is over', () => {
    const notifier = new Notifier(manualClock())
    {
      using _watch = notifier.watch('@alice:x', 'A')
      expect(notifier.listening).toBe(1)
    }
    expect(notifier.listening).toBe(0)
  })
})
