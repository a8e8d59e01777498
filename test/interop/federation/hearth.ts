import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerProcess } from '../../process/server-process.ts'
import type { TestCa } from '../../support/certificates.ts'
import { makeGate } from './gate.ts'
import type { Side } from './side.ts'

export interface HearthSide extends Side {
  /** SIGKILL, and a new start on the same data. */
  killAndRestart(): Promise<void>
}

/**
 * A Hearth as a process of its own, that federates over TLS under the name `localhost:port`.
 * @param registration an application service's registration file, as JSON
 */
export async function startHearth(folder: string, ca: TestCa, registration?: object): Promise<HearthSide> {
  await mkdir(folder, { recursive: true })
  const gate = await makeGate()
  const serverName = `localhost:${gate.port}`
  const { certificate, privateKey } = await ca.issue(['localhost', '127.0.0.1'])
  await writeFile(join(folder, 'tls.crt'), certificate)
  await writeFile(join(folder, 'tls.key'), privateKey)
  await writeFile(join(folder, 'ca.crt'), ca.certificate)
  const path = join(folder, 'hearth.json')
  const config = (clientPort: number) => ({
    server_name: serverName,
    data_dir: 'data',
    listeners: [
      { address: '127.0.0.1', port: clientPort, serves: ['client'] },
      {
        address: '127.0.0.1',
        port: 0,
        serves: ['federation'],
        tls: { certificate: 'tls.crt', private_key: 'tls.key' },
      },
    ],
    outbound: { trusted_ca_file: 'ca.crt', allow_addresses: ['127.0.0.0/8', '::1/128'] },
    registration: { open: true, shared_secret: 'for tests only' },
    rate_limits: { enabled: false },
    ...(registration && { application_services_dir: 'services' }),
  })
  if (registration) {
    await mkdir(join(folder, 'services'), { recursive: true })
    await writeFile(join(folder, 'services', 'service.yaml'), JSON.stringify(registration))
  }
  let clientPort = 0
  let server: ServerProcess
  const output: string[] = []

  async function start(): Promise<void> {
    await writeFile(path, JSON.stringify(config(clientPort)))
    server = new ServerProcess(['--config', path])
    const listeners = await server.ready()
    clientPort = listeners.find(({ serves }) => serves.includes('client'))?.port ?? 0
    gate.leadTo(listeners.find(({ serves }) => serves.includes('federation'))?.port ?? 0)
  }
  async function kill(): Promise<void> {
    server.signalGroup('SIGKILL')
    await server.exited
    output.push(server.stderr)
  }
  await start()
  return {
    make: 'Hearth',
    serverName,
    get baseUrl() {
      return `http://127.0.0.1:${clientPort}`
    },
    gate,
    get pid() {
      return server.child.pid ?? 0
    },
    log: () => [...output, server.stderr].join('\n'),
    async killAndRestart() {
      await kill()
      await start()
    },
    async [Symbol.asyncDispose]() {
      await kill()
      await gate[Symbol.asyncDispose]()
    },
  }
}
