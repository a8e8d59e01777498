import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { collection, type Disk, openStore, put } from '../../server/store/index.ts'
import { failure, SimulatedDisk } from '../support/simulated-disk.ts'

const notes = collection<{ id: string }>({ name: 'notes', place: 'home', key: 'id', indexes: [] })

async function formatOf(disk: SimulatedDisk): Promise<unknown> {
  const file = await disk.connect().open('/store/format.json', 'read')
  return JSON.parse((await file.read(0, 100)).toString())
}

async function writeMark(disk: Disk, dir: string, name: string): Promise<void> {
  const file = await disk.open(path.join(dir, name), 'create')
  await file.write(0, Buffer.from(name))
  await file.sync()
  await file.close()
  await disk.syncFolder(dir)
}

describe('the format of the folder', () => {
  it('is written when the store is made', async () => {
    const disk = new SimulatedDisk(1)
    await using _store = await openStore({ dir: '/store', disk: disk.connect() })
    expect(await formatOf(disk)).toEqual({ format: 1 })
  })

  it('when older is brought up step by step, each once, with all rows kept', async () => {
    const disk = new SimulatedDisk(2)
    {
      await using store = await openStore({ dir: '/store', disk: disk.connect() })
      await store.commit(() => [put(notes, { id: 'a' })])
    }
    const done: number[] = []
    const migrations = [1, 2, 3].map((to) => ({
      to,
      async run(own: Disk, dir: string) {
        done.push(to)
        await writeMark(own, dir, `mark-${to}`)
      },
    }))
    for (let i = 0; i < 2; i++) {
      await using store = await openStore({ dir: '/store', disk: disk.connect(), migrations })
      expect(await store.home.get(notes, 'a')).toEqual({ id: 'a' })
    }
    expect(done).toEqual([2, 3])
    expect(await formatOf(disk)).toEqual({ format: 3 })
    expect(disk.files()).toContain('/store/mark-3')
  })

  it('stays what it was when a step fails, and the step is run again', async () => {
    const disk = new SimulatedDisk(3)
    await (await openStore({ dir: '/store', disk: disk.connect() }))[Symbol.asyncDispose]()
    let tries = 0
    const migrations = [
      {
        to: 2,
        async run() {
          if (++tries === 1) throw failure('ENOSPC', 'no room')
        },
      },
    ]
    await expect(openStore({ dir: '/store', disk: disk.connect(), migrations })).rejects.toThrow(/ENOSPC/)
    expect(await formatOf(disk)).toEqual({ format: 1 })
    await using _store = await openStore({ dir: '/store', disk: disk.connect(), migrations })
    expect(tries).toBe(2)
    expect(await formatOf(disk)).toEqual({ format: 2 })
  })

  it('when newer is refused, and nothing is changed', async () => {
    const disk = new SimulatedDisk(4)
    const migrations = [{ to: 7, run: async () => {} }]
    await (await openStore({ dir: '/store', disk: disk.connect(), migrations }))[Symbol.asyncDispose]()
    const before = disk.files()
    await expect(openStore({ dir: '/store', disk: disk.connect() })).rejects.toMatchObject({
      name: 'UnknownFormat',
      message: expect.stringMatching(/format\.json: format 7 .* newer version/),
    })
    expect(disk.files()).toEqual(before)
  })

  it('may be missing when the making of the store was interrupted at any point', async () => {
    for (let at = 1; at < 40; at++) {
      const disk = new SimulatedDisk(100 + at)
      disk.cutAt = at
      await openStore({ dir: '/store', disk: disk.connect() }).catch(() => undefined)
      disk.powerCut()
      await using store = await openStore({ dir: '/store', disk: disk.connect() })
      expect(await store.commit(() => [put(notes, { id: 'a' })])).toBe(1)
    }
  })
})
