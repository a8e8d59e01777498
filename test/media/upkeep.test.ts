import { createHash } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type MediaRow, mediaRows } from '../../server/media/store.ts'
import { put } from '../../server/store/index.ts'
import { Rig } from '../process/server-process.ts'
import { createApi } from '../support/api.ts'
import { bytesOf, MediaRig, streamOf, uploadOf } from './rig.ts'

const ALICE = '@alice:hearth.test'
const nameOf = (uri: string) => ({ serverName: 'hearth.test', mediaId: uri.split('/').at(-1) ?? '' })

describe('files that a crash left without a row', () => {
  let rig: MediaRig
  beforeEach(async () => {
    rig = await MediaRig.make()
  })
  afterEach(() => rig[Symbol.asyncDispose]())

  const plant = async (path: string): Promise<void> => {
    const at = join(rig.folder, path)
    await mkdir(dirname(at), { recursive: true })
    await writeFile(at, 'left behind')
  }

  it('are gone after the next start, and nothing else is', async () => {
    const fetchRemote = async () => ({ contentType: undefined, fileName: undefined, bytes: streamOf('remote') })
    const first = await rig.open({ fetchRemote })
    const own = nameOf(await first.upload(uploadOf(ALICE, 'own')))
    const remote = { serverName: 'other.test', mediaId: 'a' }
    await first.content(remote, 0)
    await first[Symbol.asyncDispose]()
    for (const path of [
      'media/o/orphan',
      'cache/o/orphan',
      'thumbnails/o/orphan.crop-32x32-png',
      'media/unfinished/1-1',
    ]) {
      await plant(path)
    }
    await plant(`thumbnails/${own.mediaId.slice(0, 1)}/${own.mediaId}.crop-32x32-png`)
    const second = await rig.open({ fetchRemote })
    await rig.hasLogged('media.orphans-removed')
    expect(await rig.filesIn('media')).toEqual([own.mediaId])
    expect(await rig.filesIn('cache')).toHaveLength(1)
    expect(await rig.filesIn('thumbnails')).toEqual([`${own.mediaId}.crop-32x32-png`])
    expect((await bytesOf(await second.content(own, 0))).toString()).toBe('own')
    expect(rig.logged).toEqual([{ event: 'media.orphans-removed', files: 3 }])
  })
})

describe('uploads from before there were lists', () => {
  it('are listed, oldest last, behind whatever came later', async () => {
    await using rig = await MediaRig.make()
    const first = await rig.open()
    const ids: string[] = []
    for (const text of ['first', 'second']) {
      ids.push(nameOf(await first.upload(uploadOf(ALICE, text))).mediaId)
      rig.clock.advance(1)
    }
    await first[Symbol.asyncDispose]()
    const store = await rig.openStore()
    for (const id of ids) {
      const { ownerOrder: _, ...earlier } = (await store.home.get(mediaRows, id)) as MediaRow
      await store.commit(() => [put(mediaRows, earlier as MediaRow)])
    }
    const second = await rig.open()
    ids.push(nameOf(await second.upload(uploadOf(ALICE, 'third'))).mediaId)
    const { media } = await second.moderation.list(ALICE, {})
    expect(media.map(({ uri }) => nameOf(uri).mediaId)).toEqual(ids.toReversed())
    expect(await second.moderation.removeAllOf(ALICE)).toBe(3)
  })
})

describe('uploads after SIGKILL', () => {
  it('are there as confirmed, count what there is, and leave no file that nobody knows', async () => {
    await using rig = await Rig.make()
    const config = await rig.configure({ rate_limits: { enabled: false } })
    const start = async () => {
      const process = rig.start(config)
      const [listener] = await process.ready()
      return { process, baseUrl: `http://127.0.0.1:${listener?.port}` }
    }
    const first = await start()
    const account = { username: 'alice', password: 'a long password', auth: { type: 'm.login.dummy' } }
    const { body } = await createApi(first.baseUrl).post<Record<'access_token' | 'user_id', string>>(
      '/_matrix/client/v3/register',
      account,
    )
    const confirmed = new Map<string, string>()
    const writer = async (seed: number): Promise<void> => {
      const api = createApi(first.baseUrl, body.access_token)
      for (let i = 0; ; i += 1) {
        const bytes = Buffer.alloc(40_000, `${seed}.${i}.`)
        const reply = await api.fetch('/_matrix/media/v3/upload', { method: 'POST', body: new Blob([bytes]) })
        const { content_uri } = (await reply.json()) as { content_uri: string }
        confirmed.set(content_uri, createHash('sha256').update(bytes).digest('hex'))
        if (confirmed.size === 40) first.process.signalGroup('SIGKILL')
      }
    }
    await Promise.allSettled([1, 2, 3, 4].map(writer))
    await first.process.exited

    const second = await start()
    const api = createApi(second.baseUrl, body.access_token)
    for (const [uri, hash] of confirmed) {
      const reply = await api.fetch(`/_matrix/client/v1/media/download/${uri.slice('mxc://'.length)}`)
      const bytes = Buffer.from(await reply.arrayBuffer())
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(hash)
    }
    const path = `/_hearth/client/v1/users/${encodeURIComponent(body.user_id)}/media`
    const { body: usage } = await api.get<{ files: number; bytes: number; media: { content_uri: string }[] }>(path)
    expect(usage.files).toBe(usage.media.length)
    expect(usage.bytes).toBe(usage.files * 40_000)
    const uris = usage.media.map(({ content_uri }) => content_uri)
    expect(uris).toEqual(expect.arrayContaining([...confirmed.keys()]))
    const known = uris.map((uri) => uri.split('/').at(-1)).sort()
    const names = async () => {
      const entries = await readdir(join(rig.dataDir, 'media', 'media'), { recursive: true, withFileTypes: true })
      return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort()
    }
    await expect.poll(names, { timeout: 20_000 }).toEqual(known)
  })
})
