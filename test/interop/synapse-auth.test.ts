import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkAuth, roomStateOf } from '../../server/protocol/auth-rules/index.ts'
import type { Pdu } from '../../server/protocol/pdu.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'
import { resolveState, toMap } from '../../server/protocol/state-resolution/index.ts'
import { serverNameOf } from '../../shared/matrix/identifiers.ts'
import { type Question, question } from '../protocol/auth-rules/random-question.ts'
import type { Dag, FullState, Proposal } from '../protocol/state-resolution/dag.ts'
import { garble, moves, pickStates, playOut } from '../protocol/state-resolution/random-dag.ts'

const PYTHON =
  process.env.HEARTH_SYNAPSE_PYTHON ?? fileURLToPath(new URL('../../.cache/synapse/bin/python', import.meta.url))
const isHere = existsSync(PYTHON)
const SEED = 20_261_124
const ROOMS_PER_VERSION = 30
const QUESTIONS_PER_VERSION = 1_000

interface Asked {
  readonly dag: Dag
  readonly proposals: readonly Proposal[]
  readonly resolutions: readonly { readonly states: readonly FullState[]; readonly inFlight: boolean }[]
}
type Entry = readonly [type: string, stateKey: string, eventId: string]
interface Answers {
  readonly rooms: readonly {
    readonly ids: readonly string[]
    readonly resolutions: readonly (readonly Entry[])[]
    readonly verdicts: readonly (readonly [eventId: string, isAllowed: boolean])[]
  }[]
  readonly questions: readonly (readonly [eventId: string, isAllowed: boolean])[]
}

/** Version 12 has the algorithm of 2.1, version 1 that of 1, all others that of 2. */
function makeRooms(): readonly Asked[] {
  const picks = fc.array(fc.array(fc.nat(60), { minLength: 2, maxLength: 4 }), { minLength: 3, maxLength: 3 })
  const samples = fc.sample(fc.tuple(moves(35), picks, garbling()), { numRuns: ROOMS_PER_VERSION, seed: SEED })
  return ['1', '2', '3', '6', '11', '12'].flatMap((version) =>
    samples.map(([played, chosen, garbled]) => ask(version, played, chosen, garbled)),
  )
}

function garbling() {
  return fc.array(fc.array(fc.nat(10_000), { maxLength: 3 }), { minLength: 4, maxLength: 4 })
}

function ask(
  version: string,
  played: Parameters<typeof playOut>[1],
  picks: readonly (readonly number[])[],
  garbled: readonly (readonly number[])[],
): Asked {
  const proposals: Proposal[] = []
  const dag = playOut(version, played, { realIds: true, onProposal: (proposal) => proposals.push(proposal) })
  // Synapse's walk of events in flight takes exponential time in the length of auth chains.
  const inFlight = dag.names.length <= 18
  const honest = picks.map((pick) => ({ states: pickStates(dag, pick), inFlight }))
  // As when a server was told an outdated state.
  const misled = picks.map((pick) => ({
    states: pickStates(dag, pick).map((state, index) => garble(dag, state, garbled[index] ?? [])),
    inFlight: false,
  }))
  return { dag, proposals, resolutions: [...honest, ...misled] }
}

const makeQuestions = (): readonly Question[] =>
  ROOM_VERSIONS.flatMap((version) => fc.sample(question(version), { numRuns: QUESTIONS_PER_VERSION, seed: SEED }))

const entriesOf = (state: FullState): readonly Entry[] =>
  [...state].map(([key, eventId]): Entry => {
    const at = key.indexOf('\0')
    return [key.slice(0, at), key.slice(at + 1), eventId]
  })

let rooms: readonly Asked[] = []
let questions: readonly Question[] = []
let answers: Answers

describe.skipIf(!isHere && !process.env.CI)(
  isHere
    ? 'with the code of Synapse'
    : 'with the code of Synapse (skipped: no Python with Synapse in it at HEARTH_SYNAPSE_PYTHON or .cache/synapse)',
  () => {
    beforeAll(async () => {
      if (!isHere) throw new Error(`no Python with Synapse in it at ${PYTHON}; set HEARTH_SYNAPSE_PYTHON`)
      rooms = makeRooms()
      questions = makeQuestions()
      await using folder = await temporaryFolder()
      const [input, output] = [join(folder.path, 'asked.json'), join(folder.path, 'answers.json')]
      await writeFile(
        input,
        JSON.stringify({
          rooms: rooms.map(({ dag, proposals, resolutions }) => ({
            version: dag.version,
            room_id: dag.roomId,
            events: dag.names.map(dag.pdu),
            resolutions: resolutions.map(({ states, inFlight }) => ({
              states: states.map(entriesOf),
              in_flight: inFlight,
            })),
            proposals: proposals.map(({ event, before }) => ({ event: event.pdu, state: [...before.values()] })),
          })),
          questions: questions.map(({ version, event, state }) => ({
            version,
            event: event.pdu,
            state: state.map(({ pdu }) => pdu),
          })),
        }),
      )
      const script = fileURLToPath(new URL('synapse-auth.py', import.meta.url))
      await promisify(execFile)(PYTHON, [script, input, output], { timeout: 240_000 })
      answers = JSON.parse(await readFile(output, 'utf8'))
    }, 300_000)

    it('finds the same IDs for events', () => {
      rooms.forEach(({ dag }, index) => {
        expect(answers.rooms[index]?.ids).toEqual(dag.names.map(dag.id))
      })
    })

    it('judges the events of random rooms alike', () => {
      rooms.forEach(({ proposals }, index) => {
        const ours = proposals.map(({ event, verdict }) => [event.eventId, verdict.ok])
        expect(answers.rooms[index]?.verdicts).toEqual(ours)
      })
    })

    it('resolves the states of random rooms alike', () => {
      rooms.forEach(({ dag, resolutions }, index) => {
        resolutions.forEach(({ states }, nth) => {
          const { state } = resolveState({
            roomId: dag.roomId,
            rules: dag.rules,
            states,
            eventById: dag.eventById,
            ranks: dag.rank,
          })
          const theirs = Object.fromEntries(
            (answers.rooms[index]?.resolutions[nth] ?? []).map(([t, k, id]) => [`${t} ${k}`.trim(), dag.name(id)]),
          )
          expect(dag.told(toMap(state)), `version ${dag.version}, room ${index}, resolution ${nth}`).toEqual(theirs)
        })
      })
    })

    it.each(ROOM_VERSIONS)('gives the same verdicts in every situation: room version %s', (version) => {
      const differing: unknown[] = []
      questions.forEach((asked, index) => {
        if (asked.version !== version || concernsStrangerOfUnfederatedRoom(asked)) return
        const [eventId, isAllowed] = answers.questions[index] ?? []
        const find = (type: string, stateKey: string) =>
          asked.state.find(({ pdu }) => pdu.type === type && pdu.state_key === stateKey)
        const rules = getRoomVersion(version)
        const ours = checkAuth(asked.event.pdu, roomStateOf(find, rules), rules)
        expect(eventId).toBe(asked.event.eventId)
        if (ours.ok !== isAllowed) differing.push({ ours, isAllowed, ...tell(asked) })
      })
      expect(differing).toEqual([])
    })
  },
)

/** Synapse also refuses members of other servers there when somebody else acts on them; the specification does not. */
function concernsStrangerOfUnfederatedRoom({ event: { pdu }, state: [create] }: Question): boolean {
  const isForeign = serverNameOf(pdu.state_key ?? '') !== serverNameOf(create?.pdu.sender ?? '')
  return pdu.type === 'm.room.member' && create?.pdu.content['m.federate'] === false && isForeign
}

const tellPdu = ({ type, sender, state_key, content, prev_events }: Pdu) => ({
  type,
  sender,
  state_key,
  content,
  prev_events,
})
const tell = ({ event, state }: Question) => ({
  event: tellPdu(event.pdu),
  state: state.map(({ pdu }) => tellPdu(pdu)),
})

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'hearth-synapse-auth-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}
