/**
 * How usable a crowded room and a well-connected account are:
 *
 *   node test/bench/crowd.ts [--members 10000] [--events 50000] [--rooms 1000]
 *     [--peer http://127.0.0.1:8018 [--peer-name Synapse]]
 *
 * The people are an application service's, since thousands of password hashes would take longer than all else: a peer needs the
 * registration that `--print-registration` prints, and no rate limits.
 */
import { parseArgs } from 'node:util'
import { BenchClient } from './bench-client.ts'
import { registration } from './crowd-service.ts'
import { sideBySide } from './growth.ts'
import { findListeningProcess, ProcessUsage } from './process-usage.ts'
import { makeHearthHome } from './start-server.ts'
import { show, Table } from './table.ts'

const AT_ONCE = 16
const ROUNDS = 5

const { values: options } = parseArgs({
  options: {
    members: { type: 'string', default: '10000' },
    events: { type: 'string', default: '50000' },
    rooms: { type: 'string', default: '1000' },
    peer: { type: 'string' },
    'peer-name': { type: 'string', default: 'Peer' },
    'print-registration': { type: 'boolean', default: false },
  },
})
const V3 = '/_matrix/client/v3'
const words = ['bread', 'garden', 'ladder', 'snow', 'soup', 'summer', 'train', 'window']

/** What one of the application service's people asks. */
class Crowd {
  readonly #client: BenchClient
  constructor(client: BenchClient) {
    this.#client = client
  }

  async register(name: string): Promise<string> {
    const body = { type: 'm.login.application_service', username: `crowd_${name}`, inhibit_login: true }
    const answer = await this.#client.call('POST', `${V3}/register`, { token: registration.as_token, body })
    return answer.json<{ user_id: string }>().user_id
  }

  async ask<T>(userId: string, method: string, path: string, body?: unknown): Promise<T> {
    const url = `${path}${path.includes('?') ? '&' : '?'}user_id=${encodeURIComponent(userId)}`
    return (await this.#client.call(method, url, { token: registration.as_token, body })).json<T>()
  }

  async createRoom(userId: string): Promise<string> {
    const made = await this.ask<{ room_id: string }>(userId, 'POST', `${V3}/createRoom`, { preset: 'public_chat' })
    return encodeURIComponent(made.room_id)
  }

  send(userId: string, roomId: string, n: number): Promise<unknown> {
    const said = words.filter((_, i) => (n >> i) % 2 === 1).join(' ')
    const body = { msgtype: 'm.text', body: `Message ${n}: ${said}` }
    return this.ask(userId, 'PUT', `${V3}/rooms/${roomId}/send/m.room.message/crowd${n}`, body)
  }
}

if (options['print-registration']) console.log(JSON.stringify(registration, null, 2))
else {
  const table = new Table()
  using home = makeHearthHome(registration)
  const hearth = await home.start()
  await run('Hearth', hearth.baseUrl, new ProcessUsage(hearth.pid), table)
  await hearth.stop()
  if (options.peer !== undefined) {
    const pid = findListeningProcess(Number(new URL(options.peer).port))
    if (pid === undefined) throw new Error('Nobody listens at the address of --peer')
    await run(options['peer-name'], options.peer, new ProcessUsage(pid), table)
  }
  console.log('Median time at the client; CPU of the server for each')
  console.log(table.toString())
}

async function run(server: string, baseUrl: string, usage: ProcessUsage, table: Table): Promise<void> {
  const [members, events, rooms] = [Number(options.members), Number(options.events), Number(options.rooms)]
  const crowd = new Crowd(new BenchClient(baseUrl, ''))
  const tag = Date.now().toString(36)
  const prepare = async (what: string, count: number, one: (i: number) => Promise<unknown>): Promise<void> => {
    const cpuBefore = usage.cpuMs()
    let next = 0
    await sideBySide(count, AT_ONCE, () => {
      next += 1
      return one(next)
    })
    table.set(server, `${what} (${count}), CPU for each`, `${show((usage.cpuMs() - cpuBefore) / count)} ms`)
  }
  const timed = async (what: string, ask: (round: number) => Promise<unknown>): Promise<void> => {
    const times: number[] = []
    const cpuBefore = usage.cpuMs()
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        const began = performance.now()
        await ask(round)
        times.push(performance.now() - began)
      }
    } catch (error) {
      // A row that a server refuses must not cost the others.
      table.set(server, what, 'failed')
      console.error(`${server}: ${what}: ${(error as Error).message}`)
      process.exitCode = 1
      return
    }
    const median = times.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN
    table.set(server, what, `${show(median)} ms; ${show((usage.cpuMs() - cpuBefore) / ROUNDS)} ms`)
  }

  const owner = await crowd.register(`${tag}_owner`)
  const big = await crowd.createRoom(owner)
  const people: string[] = []
  await prepare('registering the members', members, async (i) => people.push(await crowd.register(`${tag}_${i}`)))
  await prepare('joining', members, (i) => crowd.ask(people[i - 1] ?? owner, 'POST', `${V3}/join/${big}`, {}))
  await prepare('sending', events, (i) => crowd.send(people[i % people.length] ?? owner, big, i))
  await prepare('rooms of one account', rooms, () => crowd.createRoom(owner))

  const lazy = encodeURIComponent(JSON.stringify({ room: { state: { lazy_load_members: true } } }))
  const sync = (userId: string, query: string) =>
    crowd.ask<{ next_batch: string }>(userId, 'GET', `${V3}/sync?timeout=0&set_presence=offline&${query}`)
  const member = people[0] ?? owner
  const label = `${members} members`
  await timed(`first sync of a member, ${label}`, (n) => sync(member, `full_state=${n % 2 === 0}`))
  await timed(`the same, members lazily`, () => sync(member, `filter=${lazy}`))
  const { next_batch: since } = await sync(member, `filter=${lazy}`)
  await timed(`a message and the sync that brings it, ${label}`, async (n) => {
    await crowd.send(owner, big, events + 1 + n)
    await sync(member, `filter=${lazy}&since=${since}`)
  })
  await timed(`members, ${label}`, () => crowd.ask(member, 'GET', `${V3}/rooms/${big}/members`))
  await timed(`a page of 100 messages, ${label}`, () =>
    crowd.ask(member, 'GET', `${V3}/rooms/${big}/messages?dir=b&limit=100`),
  )
  await timed(`search in ${events} messages`, (n) =>
    crowd.ask(member, 'POST', `${V3}/search`, {
      search_categories: { room_events: { search_term: words[n % words.length], order_by: 'recent' } },
    }),
  )
  await timed(`first sync of ${rooms} rooms, members lazily`, () => sync(owner, `filter=${lazy}`))
  const first = await sync(owner, `filter=${lazy}`)
  await timed(`empty sync, ${rooms} rooms`, () => sync(owner, `filter=${lazy}&since=${first.next_batch}`))
  await timed(`sliding sync's first window of 20, ${rooms} rooms`, (n) =>
    crowd.ask(owner, 'POST', '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0', {
      conn_id: `crowd${n}`,
      lists: { all: { ranges: [[0, 19]], timeline_limit: 10, required_state: [['m.room.name', '']] } },
    }),
  )
  table.set(server, 'memory at the end', `${show(usage.memoryMb().now)} MB`)
}
