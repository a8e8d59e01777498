import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestAppservice } from '../support/app-service.ts'
import { startTestServer, type TestServer, type TestServerOptions } from '../support/test-server.ts'

/** A homeserver and an application service that know each other. */
export class AppserviceRig implements AsyncDisposable {
  readonly service: TestAppservice
  readonly folder: string
  readonly #options: TestServerOptions
  server: TestServer

  private constructor(service: TestAppservice, folder: string, options: TestServerOptions, server: TestServer) {
    this.service = service
    this.folder = folder
    this.#options = options
    this.server = server
  }

  /** @param registration keys that differ from those of `TestAppservice.register` */
  static async start(
    registration: Readonly<Record<string, unknown>> = {},
    options: TestServerOptions = {},
  ): Promise<AppserviceRig> {
    const service = await TestAppservice.start()
    const folder = await mkdtemp(join(tmpdir(), 'hearth-as-'))
    const services = await service.register(folder, registration)
    const all: TestServerOptions = {
      dataDir: folder,
      ...options,
      config: { application_services_dir: services, ...options.config },
    }
    return new AppserviceRig(service, folder, all, await startTestServer(all))
  }

  async stopServer(): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }

  /** The same data, by a server of its own. */
  async startServer(): Promise<void> {
    this.server = await startTestServer(this.#options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.service[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}
