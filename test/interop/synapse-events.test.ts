import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { canonicalJson } from '../../server/protocol/canonical-json.ts'
import { eventIdOf } from '../../server/protocol/event-id.ts'
import { checkEventSignatures, type EventDraft, finishEvent } from '../../server/protocol/event-signing.ts'
import { contentHashMatches, referenceHash } from '../../server/protocol/hashes.ts'
import { parseJson } from '../../server/protocol/json.ts'
import type { Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { redact } from '../../server/protocol/redaction.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'
import { makeSigningKey } from '../../server/protocol/signing-key.ts'
import { findSynapsePython } from './synapse-python.ts'

const SERVER = 'alpha.test'
const SEED = Buffer.alloc(32, 42)
const key = makeSigningKey(SEED, 'a_1')
const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

/** What differs from an event to the other; contents are texts, so that numbers stay as they are written. */
interface Story {
  readonly name: string
  readonly type: string
  readonly content: string
  readonly rest?: JsonObject
  readonly versions?: readonly string[]
}

const LEGACY = ROOM_VERSIONS.filter((version) => Number(version) < 6)

const STORIES: readonly Story[] = [
  { name: 'message', type: 'm.room.message', content: '{"msgtype":"m.text","body":"hello"}' },
  { name: 'empty', type: 'X', content: '{}' },
  {
    name: 'keys beyond the BMP and around the surrogates',
    type: 'm.room.message',
    content: '{"\u{1f600}":1,"\uffee":2,"\ue000":3,"\ud7ff":4,"z":5,"é":6,"":7,"a\u{10ffff}":8,"a\uffff":9}',
  },
  {
    name: 'escapes',
    type: 'm.room.message',
    content:
      '{"body":"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f \\" \\\\ \\/ \\u007f \\u0080 \\u2028 \\u2029 \\ud83d\\ude00"}',
  },
  {
    name: 'keys that JavaScript treats as special',
    type: 'm.room.message',
    content:
      '{"__proto__":{"a":1},"constructor":{"prototype":2},"10":1,"9":2,"-1":3,"hasOwnProperty":null,"toJSON":"x"}',
  },
  {
    name: 'nesting',
    type: 'm.room.message',
    content: `{"a":${'[{"b":'.repeat(45)}[null,true,false,"",{},[]]${'}]'.repeat(45)}}`,
  },
  { name: 'integers at the limits', type: 'x', content: '{"a":[9007199254740991,-9007199254740991,0,-0,-1]}' },
  {
    name: 'floats and integers beyond the limits',
    type: 'x',
    versions: LEGACY,
    content:
      '{"a":[1.5,1.0,-0.0,0.1,1e10,1e16,1e22,1E-5,0.0001,5e-324,1.7976931348623157e308,123456789.125e3,12345678901234567890,-9007199254740993,9223372036854775807]}',
  },
  {
    name: 'power levels as strings and floats',
    type: 'm.room.power_levels',
    rest: { state_key: '' },
    versions: LEGACY,
    content: '{"ban":"50","users":{"@alice:alpha.test":100,"@bob:alpha.test":50.57},"kick":5.114698E4,"invite":0}',
  },
  {
    name: 'power levels',
    type: 'm.room.power_levels',
    rest: { state_key: '' },
    content:
      '{"ban":50,"events":{"m.room.name":50},"events_default":0,"invite":10,"kick":50,"notifications":{"room":20},"redact":50,"state_default":50,"users":{"@alice:alpha.test":100},"users_default":0}',
  },
  {
    name: 'create',
    type: 'm.room.create',
    rest: { state_key: '', prev_events: [], auth_events: [] },
    content:
      '{"creator":"@alice:alpha.test","m.federate":true,"room_version":"x","predecessor":{"room_id":"!old:alpha.test"},"additional_creators":["@bob:alpha.test"]}',
  },
  {
    name: 'invite by third-party ID',
    type: 'm.room.member',
    rest: { state_key: '@carol:alpha.test' },
    content:
      '{"membership":"invite","third_party_invite":{"display_name":"c…","signed":{"mxid":"@carol:alpha.test","token":"t","signatures":{"id.test":{"ed25519:0":"x"}}}}}',
  },
  {
    name: 'third-party invite without signed',
    type: 'm.room.member',
    rest: { state_key: '@carol:alpha.test' },
    content: '{"membership":"invite","third_party_invite":{"display_name":"c"}}',
  },
  {
    name: 'third-party invite that is no object',
    type: 'm.room.member',
    rest: { state_key: '@carol:alpha.test' },
    content: '{"membership":"invite","third_party_invite":"x","reason":"why"}',
  },
  {
    name: 'restricted join',
    type: 'm.room.member',
    rest: { state_key: '@alice:alpha.test' },
    content: '{"membership":"join","join_authorised_via_users_server":"@alice:alpha.test","displayname":"Alice"}',
  },
  {
    name: 'join rules',
    type: 'm.room.join_rules',
    rest: { state_key: '' },
    content: '{"join_rule":"restricted","allow":[{"type":"m.room_membership","room_id":"!x:y"}],"x":1}',
  },
  {
    name: 'history visibility',
    type: 'm.room.history_visibility',
    rest: { state_key: '' },
    content: '{"history_visibility":"shared","x":1}',
  },
  {
    name: 'aliases',
    type: 'm.room.aliases',
    rest: { state_key: 'alpha.test' },
    content: '{"aliases":["#a:alpha.test"],"x":1}',
  },
  {
    name: 'redaction',
    type: 'm.room.redaction',
    rest: { redacts: `$${HASH}` },
    content: `{"redacts":"$${HASH}","reason":"spam"}`,
  },
  {
    name: 'keys of old events at the top',
    type: 'm.room.message',
    content: '{"body":"x"}',
    rest: {
      origin: 'alpha.test',
      prev_state: [],
      membership: 'join',
      unsigned: { age: 5, prev_content: { a: 1 } },
      'org.example.extra': { b: [1] },
    },
  },
]

interface Case {
  readonly name: string
  readonly version: string
  readonly draft: string
}

function references(version: string): Json {
  const { eventIds } = getRoomVersion(version)
  if (eventIds === 'inEvent') return [['$p:alpha.test', { sha256: HASH }]]
  return [eventIds === 'hash' ? `$${HASH.replaceAll('-', '+')}` : `$${HASH}`]
}

function casesOf(version: string): readonly Case[] {
  const { eventIds, roomIdIsCreateHash } = getRoomVersion(version)
  return STORIES.filter(({ versions }) => versions?.includes(version) ?? true).map(
    ({ name, type, content, rest }, index) => {
      const roomId = roomIdIsCreateHash ? `!${HASH}` : '!room:alpha.test'
      const draft = JSON.stringify({
        type,
        sender: '@alice:alpha.test',
        ...(roomIdIsCreateHash && type === 'm.room.create' ? {} : { room_id: roomId }),
        ...(eventIds === 'inEvent' ? { event_id: `$${index}:alpha.test` } : {}),
        depth: 12 + index,
        origin_server_ts: 1_795_000_000_000 + index,
        prev_events: references(version),
        auth_events: references(version),
        ...rest,
        content: '@content@',
      })
      return { name, version, draft: draft.replace('"@content@"', () => content) }
    },
  )
}

interface Answer {
  readonly canonical: string
  readonly signed: string
  readonly redacted: string
  readonly event_id: string
  readonly reference_hash: string
  readonly signature_accepted: boolean | string
  readonly hash_accepted: boolean
}

const cases = ROOM_VERSIONS.flatMap(casesOf)

const finish = ({ version, draft }: Case): { readonly eventId: string; readonly pdu: Pdu } =>
  finishEvent({
    draft: parseJson(draft) as unknown as EventDraft,
    rules: getRoomVersion(version),
    serverName: SERVER,
    key,
  })

const python = findSynapsePython()

describe.skipIf('missing' in python)('events as Synapse computes them', () => {
  let answers: readonly Answer[] = []

  beforeAll(() => {
    if ('missing' in python) return
    const request = {
      server_name: SERVER,
      seed: SEED.toString('base64').replace(/=+$/, ''),
      key_name: 'a_1',
      events: cases.map((each) => ({
        version: each.version,
        event: each.draft,
        signed: JSON.stringify(finish(each).pdu),
      })),
    }
    const script = fileURLToPath(new URL('synapse-events.py', import.meta.url))
    const output = execFileSync(python.path, [script], {
      input: JSON.stringify(request),
      encoding: 'utf8',
      timeout: 120_000,
      maxBuffer: 64 * 1024 * 1024,
    })
    answers = JSON.parse(output)
  }, 180_000)

  it.each(cases.map((each, index) => ({ ...each, index })))('room version $version: $name', ({ index, ...each }) => {
    const answer = answers[index] as Answer
    const rules = getRoomVersion(each.version)
    const strict = rules.strictCanonicalJson
    const { eventId, pdu } = finish(each)

    expect(canonicalJson(parseJson(each.draft), strict)).toBe(answer.canonical)
    expect(canonicalJson(pdu as unknown as JsonObject, strict)).toBe(answer.signed)
    expect(canonicalJson(redact(pdu, rules) as unknown as JsonObject, strict)).toBe(answer.redacted)
    expect(eventId).toBe(answer.event_id)
    expect(referenceHash(pdu, rules)).toBe(answer.reference_hash)

    // Synapse accepts ours …
    expect(answer.signature_accepted).toBe(true)
    expect(answer.hash_accepted).toBe(true)

    // … and we accept Synapse's, also when it redacted the event.
    const keyOf = (): { publicKey: string; validUntilTs: number } => ({
      publicKey: key.publicKey,
      validUntilTs: 4_000_000_000_000,
    })
    const theirs = parseJson(answer.signed) as unknown as Pdu
    expect(checkEventSignatures({ pdu: theirs, rules, keyOf })).toEqual({ ok: true })
    expect(contentHashMatches(theirs, rules)).toBe(true)
    expect(eventIdOf(theirs, rules)).toBe(eventId)
    const redacted = parseJson(answer.redacted) as unknown as Pdu
    expect(checkEventSignatures({ pdu: redacted, rules, keyOf })).toEqual({ ok: true })
    expect(eventIdOf(redacted, rules)).toBe(eventId)
  })
})

describe('the comparison with Synapse', () => {
  it.skipIf('missing' in python && !process.env.CI)('is run where it must be', () => {
    expect('missing' in python ? python.missing : 'found').toBe('found')
  })
  if ('missing' in python) console.warn(`skipped: ${python.missing}`)
})
