import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import { type DiskStore, openStore } from '../../server/store/index.ts'
import { openMemoryStore } from '../support/memory-store.ts'
import { describeEngine } from './conformance.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'hearth-store-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
let number = 0

describeEngine({
  name: 'in memory',
  open: async () => openMemoryStore(),
  settle: async () => {},
})

describeEngine({
  name: 'on disk',
  open: () => openStore({ dir: path.join(folder, String(number++)) }),
  settle: (store) => (store as DiskStore).checkpoint(),
})

describeEngine({
  name: 'on disk, with small limits',
  open: () =>
    openStore({
      dir: path.join(folder, String(number++)),
      limits: {
        segmentRows: 16,
        openRooms: 1,
        openBytes: 1,
        cacheBytes: 2_000,
        openFiles: 1,
        sliceMs: 0,
        journalBytes: 4_000,
        journalFileBytes: 1_000,
      },
    }),
  settle: (store) => (store as DiskStore).checkpoint(),
})
