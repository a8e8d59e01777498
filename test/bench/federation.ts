/**
 * What it costs to reach other servers, with Synapse as the other and beside it:
 *
 *   node test/bench/federation.ts [--members 1000] [--events 5000] [--sends 500] [--no-joins]
 *
 * Joins of a large room (how long until it can be written into, and until all members are known), and messages from one server to
 * another. Synapse's Python is found as for the tests (`HEARTH_SYNAPSE_PYTHON`).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startHearth } from '../interop/federation/hearth.ts'
import {
  good,
  inPath,
  join as joinRoom,
  makeRoom,
  type Person,
  register,
  type Side,
  type SyncReply,
  send,
  until,
} from '../interop/federation/side.ts'
import { startSynapse } from '../interop/federation/synapse.ts'
import { createApi } from '../support/api.ts'
import { makeTestCa } from '../support/certificates.ts'
import { registration } from './crowd-service.ts'
import { sideBySide } from './growth.ts'
import { ProcessUsage } from './process-usage.ts'
import { show, Table } from './table.ts'

const AT_ONCE = 16
const PATIENCE_MS = 300_000

const { values: options } = parseArgs({
  options: {
    members: { type: 'string', default: '1000' },
    events: { type: 'string', default: '5000' },
    sends: { type: 'string', default: '500' },
    'no-joins': { type: 'boolean', default: false },
  },
})
const [members, events, sends] = [Number(options.members), Number(options.events), Number(options.sends)]

const folder = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
const table = new Table()
try {
  await using all = new AsyncDisposableStack()
  const ca = await makeTestCa()
  const start = async (make: 'Hearth' | 'Synapse', name: string): Promise<Side> => {
    const begin = make === 'Hearth' ? startHearth : startSynapse
    return all.use(await begin(join(folder, name), ca, registration))
  }
  const hearths = [await start('Hearth', 'h1'), await start('Hearth', 'h2')] as const
  const synapses = [await start('Synapse', 's1'), await start('Synapse', 's2')] as const
  for (const home of options['no-joins'] ? [] : [synapses[0], hearths[0]]) {
    const roomId = await crowdedRoom(home)
    for (const away of [hearths[1], synapses[1]]) await timeJoin(home, away, roomId)
  }
  for (const [from, to] of [
    [hearths[0], hearths[1]],
    [hearths[0], synapses[1]],
    [synapses[0], hearths[1]],
    [synapses[0], synapses[1]],
  ] as const) {
    await timeSends(from, to)
  }
  console.log(table.toString())
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** A public room whose members are all of one server. */
async function crowdedRoom(home: Side): Promise<string> {
  const api = createApi(home.baseUrl, registration.as_token)
  const owner = await register(home, 'owner')
  const roomId = await makeRoom(owner)
  const userIds: string[] = []
  await sideBySide(members, AT_ONCE, async () => {
    const username = `crowd_${userIds.length}_${Math.random().toString(36).slice(2)}`
    const body = { type: 'm.login.application_service', username, inhibit_login: true }
    const userId = String(good(await api.post('/_matrix/client/v3/register', body)).user_id)
    userIds.push(userId)
    good(await api.post(`/_matrix/client/v3/join/${inPath(roomId)}`, {}, { user_id: userId }))
  })
  let sent = 0
  await sideBySide(events - members, AT_ONCE, async () => {
    sent += 1
    const path = `/_matrix/client/v3/rooms/${inPath(roomId)}/send/m.room.message/n${sent}`
    const userId = userIds[sent % userIds.length] ?? ''
    good(await api.put(path, { msgtype: 'm.text', body: `Message ${sent}` }, { user_id: userId }))
  })
  return roomId
}

async function timeJoin(home: Side, away: Side, roomId: string): Promise<void> {
  const row = `${away.make} joins ${members} members, ${events} events of ${home.make}`
  const person = await register(away, 'guest')
  const [there, here] = [new ProcessUsage(home.pid), new ProcessUsage(away.pid)]
  const cpuBefore = [there.cpuMs(), here.cpuMs()] as const
  const began = performance.now()
  await joinRoom(person, roomId, home.serverName)
  table.set('answered after', row, `${show(performance.now() - began)} ms`)
  await send(person, roomId, 'here I am')
  table.set('first message sent after', row, `${show(performance.now() - began)} ms`)
  await until(
    'all members',
    async () => {
      const { chunk } = good(
        await person.api.get<{ chunk: object[] }>(`/_matrix/client/v3/rooms/${inPath(roomId)}/members`, {
          membership: 'join',
        }),
      )
      return chunk.length >= members + 2 || undefined
    },
    PATIENCE_MS,
  )
  table.set('all members after', row, `${show(performance.now() - began)} ms`)
  table.set(
    'CPU here and there',
    row,
    `${show(here.cpuMs() - cpuBefore[1])} + ${show(there.cpuMs() - cpuBefore[0])} ms`,
  )
  table.set('memory here', row, `${show(here.memoryMb().now)} MB`)
}

async function timeSends(from: Side, to: Side): Promise<void> {
  const row = `a message from ${from.make} to ${to.make}`
  const [alice, bob]: readonly [Person, Person] = [await register(from, 'alice'), await register(to, 'bob')]
  const roomId = await makeRoom(alice)
  await joinRoom(bob, roomId, from.serverName)
  const usages = [new ProcessUsage(from.pid), new ProcessUsage(to.pid)] as const
  const filter = JSON.stringify({ room: { rooms: [roomId] }, presence: { not_types: ['*'] } })
  let since: string | undefined
  /** Resolves when the event comes by a long poll, which costs the other server no more than it has to. */
  const hears = async (eventId: string): Promise<void> => {
    for (;;) {
      const sync = good(
        await bob.api.get<SyncReply>('/_matrix/client/v3/sync', { timeout: 30_000, filter, ...(since && { since }) }),
      )
      since = sync.next_batch
      const events = sync.rooms?.join?.[roomId]?.timeline.events ?? []
      if (events.some(({ event_id }) => event_id === eventId)) return
    }
  }
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const eventId = await send(alice, roomId, `message ${i}`)
      await hears(eventId)
    }
  }
  await run(Math.min(200, sends))
  const cpuBefore = usages.map((usage) => usage.cpuMs())
  const began = performance.now()
  await run(sends)
  const [there = 0, here = 0] = usages.map((usage, i) => (usage.cpuMs() - (cpuBefore[i] ?? 0)) / sends)
  table.set('CPU here and there', row, `${show(here)} + ${show(there)} = ${show(here + there)} ms`)
  table.set('answered after', row, `${show((performance.now() - began) / sends)} ms to be there`)
}
