import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { get } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Api, createApi } from '../support/api.ts'
import { Rig, type ServerProcess } from './server-process.ts'

let rig: Rig
beforeEach(async () => {
  rig = await Rig.make()
})
afterEach(() => rig[Symbol.asyncDispose]())

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

async function apiOf(server: ServerProcess, accessToken?: string): Promise<Api> {
  const [listener] = await server.ready()
  return createApi(`http://${listener?.address}:${listener?.port}`, accessToken)
}

interface Account {
  readonly user_id: string
  readonly access_token: string
}
async function register(api: Api, username: string): Promise<Account> {
  const body = { username, password: 'a long password', auth: { type: 'm.login.dummy' } }
  const reply = await api.post<Account & Record<string, unknown>>('/_matrix/client/v3/register', body)
  expect(reply.status).toBe(200)
  return reply.body
}

describe('interop/server-process §Start', () => {
  it('says that it is ready, with the ports it got, and answers from then on', async () => {
    const config = await rig.configure({
      listeners: [
        { address: '127.0.0.1', port: 0, serves: ['client'] },
        { address: '127.0.0.1', port: 0, serves: ['federation'] },
      ],
    })
    const server = rig.start(config)
    const listeners = await server.ready()
    expect(server.stdout.split('\n')).toHaveLength(2)
    expect(JSON.parse(server.stdout)).toEqual({
      event: 'ready',
      server_name: 'alpha.test',
      listeners: [
        { address: '127.0.0.1', port: expect.any(Number), serves: ['client'] },
        { address: '127.0.0.1', port: expect.any(Number), serves: ['federation'] },
      ],
    })
    const [client, federation] = listeners.map(({ port }) => createApi(`http://127.0.0.1:${port}`))
    expect((await client?.get('/_matrix/client/versions'))?.status).toBe(200)
    expect((await federation?.get('/_matrix/client/versions'))?.status).toBe(404)
  })

  it('makes its data folder for its owner alone, and writes nothing outside of it', async () => {
    const server = rig.start(await rig.configure())
    await register(await apiOf(server), 'alice')
    expect((await stat(rig.dataDir)).mode & 0o777).toBe(0o700)
    expect((await readdir(rig.folder)).sort()).toEqual(['alpha-data', 'hearth.json'])
    for (const name of ['root.key', 'signing.key']) {
      expect((await stat(join(rig.dataDir, 'identity', name))).mode & 0o077).toBe(0)
    }
  })

  it('tells clients where it is in .well-known/matrix/client', async () => {
    const api = await apiOf(rig.start(await rig.configure()))
    const [{ body }, { port }] = [await api.get('/.well-known/matrix/client'), new URL((await api.fetch('/')).url)]
    expect(body).toEqual({ 'm.homeserver': { base_url: `http://127.0.0.1:${port}` } })
  })

  it('lets a second process know that there is one already, and leaves the first alone', async () => {
    const config = await rig.configure()
    const first = rig.start(config)
    const api = await apiOf(first)
    const second = rig.start(config)
    expect((await second.exited).code).toBe(1)
    expect(second.stderr).toContain('in use by another process')
    expect((await api.get('/_matrix/client/versions')).status).toBe(200)
  })

  it('does not start under another server_name', async () => {
    const first = rig.start(await rig.configure())
    await first.ready()
    first.signalGroup('SIGTERM')
    await first.exited
    const second = rig.start(await rig.configure({ server_name: 'beta.test' }))
    expect((await second.exited).code).toBe(1)
    expect(second.stderr).toContain('alpha.test')
  })

  it('exits with status 1 where it cannot listen, and does not serve on the other listeners', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const server = rig.start(
      await rig.configure({
        listeners: [
          { address: '127.0.0.1', port: 0 },
          { address: '127.0.0.1', port },
        ],
      }),
    )
    expect((await server.exited).code).toBe(1)
    expect(server.stderr).toContain(String(port))
    expect(server.stdout).toBe('')
    await new Promise((resolve) => taken.close(resolve))
  })
})

describe('interop/server-process §Stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with status 0 within 5 s of %s to its whole group, repeated',
    async (signal) => {
      const server = rig.start(await rig.configure())
      const account = await register(await apiOf(server), 'alice')
      const api = await apiOf(server, account.access_token)
      const synced = await api.get<{ next_batch: string }>('/_matrix/client/v3/sync')
      const waiting = api.get('/_matrix/client/v3/sync', { since: synced.body.next_batch, timeout: 60_000 })
      const [listener] = await server.ready()
      const idle = connect(Number(listener?.port), '127.0.0.1')
      await new Promise((resolve) => idle.once('connect', resolve))

      const startedTs = performance.now()
      for (let i = 0; i < 3; i += 1) server.signalGroup(signal)
      expect((await waiting).status).toBe(200)
      const exit = await server.exited
      expect(performance.now() - startedTs).toBeLessThan(5_000)
      expect(exit).toEqual({ code: 0, signal: null })
      await expect(api.get('/_matrix/client/versions')).rejects.toThrow()
      idle.destroy()
    },
  )

  it('ends when only npm is told', async () => {
    const server = rig.start(await rig.configure())
    const api = await apiOf(server)
    server.child.kill('SIGTERM')
    expect(await server.exited).toEqual({ code: 0, signal: null })
    await expect(api.get('/_matrix/client/versions')).rejects.toThrow()
  })

  it('does not wait for a client that never finishes its request', async () => {
    const server = rig.start(await rig.configure())
    const [listener] = await server.ready()
    const slow = request({ port: listener?.port, host: '127.0.0.1', method: 'POST', path: '/_matrix/client/v3/login' })
    slow.on('error', () => {})
    slow.setHeader('content-length', '100')
    await new Promise<void>((resolve) => slow.write('{"type":', () => resolve()))
    const startedTs = performance.now()
    server.signalGroup('SIGTERM')
    expect((await server.exited).code).toBe(0)
    expect(performance.now() - startedTs).toBeLessThan(5_000)
    slow.destroy()
  })

  it('keeps what it confirmed through SIGKILL, and starts as the same server', async () => {
    const config = await rig.configure()
    const first = rig.start(config)
    const account = await register(await apiOf(first), 'alice')
    const api = await apiOf(first, account.access_token)
    const room = await api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', { name: 'Kept' })
    const roomPath = `/_matrix/client/v3/rooms/${encodeURIComponent(room.body.room_id)}`
    const sent = await api.put<{ event_id: string }>(`${roomPath}/send/m.room.message/1`, {
      msgtype: 'm.text',
      body: 'still here',
    })
    const key = await readFile(join(rig.dataDir, 'identity', 'signing.key'), 'utf8')
    first.signalGroup('SIGKILL')
    await first.exited

    const again = await apiOf(rig.start(config), account.access_token)
    expect((await again.get('/_matrix/client/v3/account/whoami')).body).toMatchObject({ user_id: account.user_id })
    const event = await again.get(`${roomPath}/event/${encodeURIComponent(sent.body.event_id)}`)
    expect(event.body).toMatchObject({ content: { body: 'still here' } })
    expect(await readFile(join(rig.dataDir, 'identity', 'signing.key'), 'utf8')).toBe(key)
  })

  it('goes on after SIGSTOP and SIGCONT', async () => {
    const server = rig.start(await rig.configure())
    const api = await apiOf(server)
    server.signalGroup('SIGSTOP')
    const answer = api.get('/_matrix/client/versions')
    server.signalGroup('SIGCONT')
    expect((await answer).status).toBe(200)
  })
})

describe('interop/server-process §Start, logs', () => {
  it('go to stderr, one JSON object a line, without passwords, tokens or contents', async () => {
    const server = rig.start(await rig.configure({ log: { level: 'debug' } }))
    const anonymous = await apiOf(server)
    const account = await register(anonymous, 'alice')
    const api = await apiOf(server, account.access_token)
    const room = await api.post<{ room_id: string }>('/_matrix/client/v3/createRoom', {})
    const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room.body.room_id)}/send/m.room.message/1`
    await api.put(path, { msgtype: 'm.text', body: 'between us' })
    await anonymous.get('/_matrix/client/v3/account/whoami', { access_token: account.access_token })
    server.signalGroup('SIGTERM')
    await server.exited
    const lines = server.stderr.trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(4)
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('event')
    for (const secret of [account.access_token, 'a long password', 'between us']) {
      expect(server.stderr).not.toContain(secret)
    }
  })

  it('hold nothing below log.level', async () => {
    const server = rig.start(await rig.configure({ log: { level: 'error' } }))
    await register(await apiOf(server), 'alice')
    server.signalGroup('SIGTERM')
    await server.exited
    expect(server.stderr).toBe('')
  })
})

describe('interop/server-process §Configuration, listeners with TLS', () => {
  /** @returns the status, and the serial number of the certificate that was shown */
  function getOverTls(port: number, path: string, ca: string): Promise<{ status: number; serial: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, ca, servername: 'alpha.test', agent: false }
      get(options, (response) => {
        const serial = (response.socket as import('node:tls').TLSSocket).getPeerCertificate().serialNumber
        response.resume().once('end', () => resolve({ status: response.statusCode ?? 0, serial }))
      }).once('error', reject)
    })
  }

  it('serve with the certificate named, and with a new one after SIGHUP; a broken one changes nothing', async () => {
    const ca = await readFile(fixture('ca.crt'), 'utf8')
    const [certificate, privateKey] = [join(rig.folder, 'a.crt'), join(rig.folder, 'a.key')]
    await copyFile(fixture('first.crt'), certificate)
    await copyFile(fixture('first.key'), privateKey)
    const server = rig.start(
      await rig.configure({
        listeners: [{ address: '127.0.0.1', port: 0, tls: { certificate: 'a.crt', private_key: 'a.key' } }],
      }),
    )
    const [listener] = await server.ready()
    const port = Number(listener?.port)
    const first = await getOverTls(port, '/_matrix/client/versions', ca)
    expect(first.status).toBe(200)

    const reload = async (event: string): Promise<void> => {
      const seen = server.logLines.filter((line) => line.event === event).length
      server.signalGroup('SIGHUP')
      await server.until(() => server.logLines.filter((line) => line.event === event).length > seen)
    }
    await writeFile(certificate, 'broken')
    await reload('tls.reload-failed')
    expect((await getOverTls(port, '/_matrix/client/versions', ca)).serial).toBe(first.serial)

    await copyFile(fixture('second.crt'), certificate)
    await copyFile(fixture('second.key'), privateKey)
    await reload('tls.reloaded')
    const second = await getOverTls(port, '/_matrix/client/versions', ca)
    expect(second.status).toBe(200)
    expect(second.serial).not.toBe(first.serial)
  })

  it('name where other servers find it in .well-known/matrix/server', async () => {
    const ca = await readFile(fixture('ca.crt'), 'utf8')
    const tls = { certificate: fixture('first.crt'), private_key: fixture('first.key') }
    const server = rig.start(await rig.configure({ listeners: [{ address: '127.0.0.1', port: 0, tls }] }))
    const [listener] = await server.ready()
    expect((await getOverTls(Number(listener?.port), '/.well-known/matrix/server', ca)).status).toBe(200)
  })

  it('stop the start with status 1 where the certificate cannot be read', async () => {
    const tls = { certificate: 'none.crt', private_key: 'none.key' }
    const server = rig.start(await rig.configure({ listeners: [{ address: '127.0.0.1', port: 0, tls }] }))
    expect((await server.exited).code).toBe(1)
    expect(server.stderr).toContain('none.crt')
  })
})

describe('our own: metrics.listener', () => {
  it('shows the process, requests by operation and commits', async () => {
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve))
    const { port } = free.address() as AddressInfo
    await new Promise((resolve) => free.close(resolve))
    const server = rig.start(await rig.configure({ metrics: { listener: { address: '127.0.0.1', port } } }))
    await register(await apiOf(server), 'alice')
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    expect(text).toMatch(/hearth_http_request_duration_seconds_count\{operation="register",status="200"\} 1/)
    expect(text).toMatch(/hearth_store_commits [1-9]/)
    expect(text).toContain('hearth_nodejs_eventloop_lag_seconds')
    expect(text).not.toContain('alice')
  })
})
