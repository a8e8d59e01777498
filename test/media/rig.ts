import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { systemRandom } from '../../server/index.ts'
import { createMedia, type Media } from '../../server/media/index.ts'
import type { Environment, LogFields } from '../../server/observe/environment.ts'
import type { Store } from '../../server/store/index.ts'
import { keptStore } from '../support/kept-store.ts'
import { manualClock } from '../support/manual-clock.ts'

type Options = Partial<Parameters<typeof createMedia>[0]>

/** The slice on a real folder and a store that outlives it, to be opened again and again. */
export class MediaRig implements AsyncDisposable {
  readonly clock = manualClock()
  readonly folder: string
  readonly logged: LogFields[] = []
  readonly #awaited = new Map<string, () => void>()
  readonly #openStore = keptStore()
  readonly #opened: Media[] = []

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<MediaRig> {
    return new MediaRig(await mkdtemp(join(tmpdir(), 'hearth-media-')))
  }

  get environment(): Environment {
    const log = (fields: LogFields): void => {
      this.logged.push(fields)
      this.#awaited.get(fields.event)?.()
    }
    return {
      serverName: 'hearth.test',
      clock: this.clock,
      random: systemRandom,
      logger: { debug: () => {}, info: log, warn: log, error: log },
    }
  }

  /** Resolves when an event of this name has been logged. */
  async hasLogged(event: string): Promise<void> {
    if (this.logged.some((fields) => fields.event === event)) return
    await new Promise<void>((resolve) => this.#awaited.set(event, resolve))
  }

  openStore(): Promise<Store> {
    return this.#openStore()
  }

  async open(options: Options = {}): Promise<Media> {
    const media = await createMedia({
      environment: this.environment,
      store: await this.#openStore(),
      dir: this.folder,
      maxUploadBytes: 100_000,
      quotaInfoUrl: () => 'https://hearth.test/account',
      ...options,
    })
    this.#opened.push(media)
    return media
  }

  /** Names of the files in a folder of media's, whatever folder they are spread over. */
  async filesIn(folder: 'media' | 'cache' | 'thumbnails'): Promise<string[]> {
    const entries = await readdir(join(this.folder, folder), { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const media of this.#opened) await media[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export const streamOf = (bytes: Uint8Array | string): Readable => Readable.from([Buffer.from(bytes)])

/** An upload as the edge hands it over. */
export const uploadOf = (owner: string, bytes: Uint8Array | string) => ({
  owner,
  contentType: 'text/plain',
  fileName: undefined,
  bytes: streamOf(bytes),
})

export async function bytesOf(content: { body(): (write: (bytes: Uint8Array) => Promise<void>) => Promise<void> }) {
  const parts: Buffer[] = []
  await content.body()(async (bytes) => {
    parts.push(Buffer.from(bytes))
  })
  return Buffer.concat(parts)
}
