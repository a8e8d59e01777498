/**
 * A client library in use, made by others: matrix-nio with its own encryption (vodozemac), against the server as a process. Runs
 * where it is installed: a Python that has `matrix-nio[e2e]` as `.cache/nio/bin/python` below the project's root, or where
 * `HEARTH_NIO_PYTHON` says.
 */
import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Rig, type ServerProcess } from '../process/server-process.ts'

const PATIENCE_MS = 120_000
const python = process.env.HEARTH_NIO_PYTHON ?? fileURLToPath(new URL('../../.cache/nio/bin/python', import.meta.url))
const script = fileURLToPath(new URL('nio-conversation.py', import.meta.url))
const isHere =
  spawnSync(python, ['-c', 'import nio.crypto; assert nio.crypto.ENCRYPTION_ENABLED'], { timeout: 60_000 }).status === 0

const ALICE = '@alice:alpha.test'
const BOB = '@bob:alpha.test'
const decrypted = (sender: string, body: string) => ({ sender, body, decrypted: true })

describe.skipIf(!isHere && !process.env.CI)('matrix-nio, two people with three devices in an encrypted room', () => {
  let rig: Rig
  let server: ServerProcess
  let found: Readonly<Record<string, unknown>>

  beforeAll(async () => {
    rig = await Rig.make()
    server = rig.start(await rig.configure())
    const [listener] = await server.ready()
    const findings = join(rig.folder, 'findings.json')
    await promisify(execFile)(
      python,
      [script, `http://127.0.0.1:${listener?.port}`, join(rig.folder, 'devices'), findings],
      { timeout: PATIENCE_MS },
    )
    found = JSON.parse(await readFile(findings, 'utf8')) as typeof found
  }, 2 * PATIENCE_MS)
  afterAll(async () => {
    await rig[Symbol.asyncDispose]()
  })

  it('registers, and knows who it is', () => {
    expect(found).toMatchObject({ users: [ALICE, BOB], whoami: BOB })
  })

  it('makes an encrypted room, invites, joins, and lists rooms and members', () => {
    expect(found).toMatchObject({
      room: { name: 'Kitchen', topic: 'What to eat', encrypted: true, members: [ALICE, BOB] },
      joinedRooms: [true, true],
      joinedMembers: [ALICE, BOB],
    })
  })

  it('decrypts what is said, both ways, live and from the history, while the server has it encrypted', () => {
    expect(found).toMatchObject({
      bobHeard: decrypted(ALICE, 'soup?'),
      aliceHeard: decrypted(BOB, 'soup!'),
      onTheServer: 'm.room.encrypted',
      history: ['soup!', 'soup?'],
    })
  })

  it('tells of receipts; typing and its end were waited for on the way', () => {
    expect(found).toMatchObject({ receipt: true })
  })

  it('uploads and downloads media, plain and encrypted', () => {
    expect(found).toMatchObject({ media: [true, 'image/png', 'soup.png'], sealedMedia: [true, true] })
    expect(found.uploadSize).toBeGreaterThan(0)
  })

  it('sets a profile, which others read', () => {
    expect(found).toMatchObject({ profile: ['Alice A.', true] })
  })

  it('has a second device that decrypts and is decrypted, until it logs out', () => {
    expect(found).toMatchObject({
      devices: ['first', 'phone'],
      phoneHeard: decrypted(ALICE, 'with bread?'),
      againHeard: decrypted(BOB, 'with butter!'),
      afterLogout: ['first'],
      afterLeave: [],
    })
  })

  it('makes the server log no error', () => {
    expect(server.logLines.filter(({ level }) => level === 'error')).toEqual([])
  })
})
