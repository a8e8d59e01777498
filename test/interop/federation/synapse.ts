import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Certificate, TestCa } from '../../support/certificates.ts'
import { findSynapsePython } from '../synapse-python.ts'
import { type Gate, makeGate } from './gate.ts'
import { type Side, until } from './side.ts'

const START_MS = 60_000

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

function configuration(at: {
  readonly folder: string
  readonly serverName: string
  readonly clientPort: number
  readonly federationPort: number
}): Record<string, unknown> {
  const { folder, serverName, clientPort, federationPort } = at
  const often = { per_second: 10_000, burst_count: 10_000 }
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${clientPort}/`,
    pid_file: join(folder, 'synapse.pid'),
    listeners: [
      { port: clientPort, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client'] }] },
      {
        port: federationPort,
        type: 'http',
        tls: true,
        bind_addresses: ['127.0.0.1'],
        resources: [{ names: ['federation'] }],
      },
    ],
    tls_certificate_path: join(folder, 'tls.crt'),
    tls_private_key_path: join(folder, 'tls.key'),
    federation_custom_ca_list: [join(folder, 'ca.crt')],
    ip_range_blacklist: [],
    federation_ip_range_blacklist: [],
    database: { name: 'sqlite3', args: { database: join(folder, 'homeserver.db') } },
    media_store_path: join(folder, 'media'),
    signing_key_path: join(folder, 'signing.key'),
    log_config: join(folder, 'log.yaml'),
    report_stats: false,
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    enable_registration: true,
    enable_registration_without_verification: true,
    registration_shared_secret: 'for tests only',
    macaroon_secret_key: 'for tests only',
    form_secret: 'for tests only',
    bcrypt_rounds: 4,
    allow_public_rooms_over_federation: true,
    room_list_publication_rules: [{ action: 'allow' }],
    allow_public_rooms_without_auth: true,
    presence: { enabled: true },
    federation: {
      destination_min_retry_interval: 200,
      destination_retry_multiplier: 1,
      destination_max_retry_interval: 500,
      max_short_retry_delay: 500,
      max_short_retries: 1,
    },
    rc_message: often,
    rc_registration: often,
    rc_login: { address: often, account: often, failed_attempts: often },
    rc_joins: { local: often, remote: often },
    rc_joins_per_room: often,
    rc_invites: { per_room: often, per_user: often, per_issuer: often },
    rc_3pid_validation: often,
    rc_presence: { per_user: often },
    rc_federation: { window_size: 1_000, sleep_limit: 100_000, sleep_delay: 1, reject_limit: 100_000, concurrent: 50 },
    rc_media_create: often,
    rc_room_creation: often,
  }
}

const LOG_CONFIG = {
  version: 1,
  formatters: { plain: { format: '%(asctime)s %(name)s %(levelname)s %(message)s' } },
  handlers: { console: { class: 'logging.StreamHandler', formatter: 'plain', stream: 'ext://sys.stderr' } },
  root: { level: process.env.HEARTH_SYNAPSE_LOG ?? 'WARNING', handlers: ['console'] },
  disable_existing_loggers: false,
}

/**
 * A Synapse of its own, on SQLite, that federates over TLS under the name `localhost:port`.
 * @param registration an application service's registration file, as JSON
 */
export async function startSynapse(folder: string, ca: TestCa, registration?: object): Promise<Side> {
  const python = findSynapsePython()
  if ('missing' in python) throw new Error(python.missing)
  await mkdir(folder, { recursive: true })
  const gate: Gate = await makeGate()
  const serverName = `localhost:${gate.port}`
  const [clientPort, federationPort] = [await freePort(), await freePort()]
  const { certificate, privateKey }: Certificate = await ca.issue(['localhost', '127.0.0.1'])
  await writeFile(join(folder, 'tls.crt'), certificate)
  await writeFile(join(folder, 'tls.key'), privateKey)
  await writeFile(join(folder, 'ca.crt'), ca.certificate)
  // YAML understands JSON.
  const path = join(folder, 'homeserver.yaml')
  const services = join(folder, 'service.yaml')
  if (registration) await writeFile(services, JSON.stringify(registration))
  const config = {
    ...configuration({ folder, serverName, clientPort, federationPort }),
    ...(registration && { app_service_config_files: [services] }),
  }
  await writeFile(path, JSON.stringify(config))
  await writeFile(join(folder, 'log.yaml'), JSON.stringify(LOG_CONFIG))
  await run(python.path, ['-m', 'synapse.app.homeserver', '-c', path, '--generate-keys'], folder)

  const logPath = join(folder, 'synapse.log')
  const log = openSync(logPath, 'a')
  const child: ChildProcess = spawn(python.path, ['-m', 'synapse.app.homeserver', '-c', path], {
    cwd: folder,
    stdio: ['ignore', log, log],
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  gate.leadTo(federationPort)
  const baseUrl = `http://127.0.0.1:${clientPort}`
  const readLog = (): string => readFileSync(logPath, 'utf8')
  const isUp = until(
    'Synapse',
    async () => (await fetch(`${baseUrl}/_matrix/client/versions`)).ok || undefined,
    START_MS,
  )
  const isDown = exited.then((): never => {
    throw new Error(`Synapse did not start: ${readLog()}`)
  })
  await Promise.race([isUp, isDown])
  // It ends at the end of the tests, and so does the one that waits for it.
  isDown.catch(() => undefined)
  return {
    make: 'Synapse',
    serverName,
    baseUrl,
    gate,
    pid: child.pid ?? 0,
    log: readLog,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      await gate[Symbol.asyncDispose]()
    },
  }
}

function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(output))))
  })
}
