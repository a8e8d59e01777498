import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkEventFormat, depthOf, MAX_DEPTH, nextDepth, parsePdu } from '../../server/protocol/event-format.ts'
import { eventIdOf } from '../../server/protocol/event-id.ts'
import { checkEventSignatures } from '../../server/protocol/event-signing.ts'
import { contentHashMatches } from '../../server/protocol/hashes.ts'
import { parseJson } from '../../server/protocol/json.ts'
import type { Json, JsonObject, Pdu } from '../../server/protocol/pdu.ts'
import { redact } from '../../server/protocol/redaction.ts'
import { getRoomVersion, ROOM_VERSIONS } from '../../server/protocol/room-versions.ts'

const HASH = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'
const V3_HASH = HASH.replaceAll('-', '+')
const LEGACY = ROOM_VERSIONS.filter((version) => Number(version) < 6)
const STRICT = ROOM_VERSIONS.filter((version) => Number(version) >= 6)

function reference(version: string): Json {
  if (Number(version) < 3) return ['$x:example.org', { sha256: HASH }]
  return version === '3' ? `$${V3_HASH}` : `$${HASH}`
}

function goodEvent(version: string): { [key: string]: Json } {
  return {
    ...(Number(version) < 3 ? { event_id: '$y:example.org' } : {}),
    room_id: version === '12' ? `!${HASH}` : '!room:example.org',
    type: 'm.room.message',
    sender: '@alice:example.org',
    content: { body: 'hello' },
    prev_events: [reference(version)],
    auth_events: [reference(version), reference(version)],
    depth: 12,
    origin_server_ts: 1_404_838_188_000,
    hashes: { sha256: HASH },
    signatures: { 'example.org': { 'ed25519:key': 'sig' } },
    unsigned: { age: 4612 },
  }
}

const why = (event: Json | undefined, version: string): string => {
  const verdict = checkEventFormat(event, getRoomVersion(version))
  return verdict.ok ? 'ok' : verdict.why
}

const without = (event: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(event).filter(([name]) => name !== key))

describe.each(ROOM_VERSIONS)('rooms §Event format, version %s', (version) => {
  it('accepts a good event, with and without a state key and `unsigned`', () => {
    expect(why(goodEvent(version), version)).toBe('ok')
    expect(why({ ...goodEvent(version), state_key: '' }, version)).toBe('ok')
    expect(why(without(goodEvent(version), 'unsigned'), version)).toBe('ok')
    expect(why({ ...goodEvent(version), foo: { bar: 1 } }, version)).toBe('ok')
    expect(parsePdu(goodEvent(version), getRoomVersion(version))).toEqual({ ok: true, pdu: goodEvent(version) })
  })

  it.each([
    ['type', 'type is not a string'],
    ['sender', 'sender is not a user ID'],
    ['room_id', 'room_id is not a room ID of this room version'],
    ['content', 'content is not an object'],
    ['origin_server_ts', 'origin_server_ts is not an integer in ±(2^53−1)'],
    ['depth', 'depth is not an integer'],
    ['prev_events', 'prev_events is not a list'],
    ['auth_events', 'auth_events is not a list'],
    ['hashes', 'hashes is not an object'],
    ['signatures', 'signatures is not an object'],
  ])('requires %s, of its type', (key, sentence) => {
    const event = goodEvent(version)
    expect(why(without(event, key), version)).toBe(sentence)
    for (const wrong of [null, true, key === 'depth' || key === 'origin_server_ts' ? '5' : 5]) {
      expect(why({ ...event, [key]: wrong }, version)).toBe(sentence)
    }
  })

  it.each<[string, Json, string]>([
    ['sender', 'alice:example.org', 'sender is not a user ID'],
    ['sender', '@alice', 'sender is not a user ID'],
    ['sender', '@alice:exa mple', 'sender is not a user ID'],
    ['sender', `@${'a'.repeat(254)}:b`, 'sender is not a user ID'],
    ['room_id', '#room:example.org', 'room_id is not a room ID of this room version'],
    ['room_id', `!${'a'.repeat(254)}:b`, 'room_id is not a room ID of this room version'],
    ['state_key', null, 'state_key is not a string'],
    ['state_key', 'x'.repeat(256), 'state_key is longer than 255 bytes'],
    ['state_key', 'é'.repeat(128), 'state_key is longer than 255 bytes'],
    ['type', 'x'.repeat(256), 'type is longer than 255 bytes'],
    ['type', '😀'.repeat(64), 'type is longer than 255 bytes'],
    ['content', [], 'content is not an object'],
    ['depth', -1, 'depth is below 0'],
    ['hashes', {}, 'hashes has no sha256'],
    ['hashes', { sha256: 5 }, 'hashes has no sha256'],
    ['signatures', { 'example.org': 'x' }, 'signatures has an entry that is not an object'],
    ['signatures', { 'example.org': { 'ed25519:1': 5 } }, 'signatures has a signature that is not a string'],
    ['unsigned', [], 'unsigned is not an object'],
    ['prev_events', [5], 'prev_events has an entry that is no reference to an event'],
    ['auth_events', ['$nonsense'], 'auth_events has an entry that is no reference to an event'],
    ['auth_events', [['$x:example.org']], 'auth_events has an entry that is no reference to an event'],
  ])('refuses %s = %j', (key, value, sentence) => {
    expect(why({ ...goodEvent(version), [key]: value }, version)).toBe(sentence)
  })

  it('bounds the number of references', () => {
    const many = (count: number): Json => Array<Json>(count).fill(reference(version))
    expect(why({ ...goodEvent(version), prev_events: many(20), auth_events: many(10) }, version)).toBe('ok')
    expect(why({ ...goodEvent(version), prev_events: many(21) }, version)).toBe(
      'prev_events has 21 entries, more than 20',
    )
    expect(why({ ...goodEvent(version), auth_events: many(11) }, version)).toBe(
      'auth_events has 11 entries, more than 10',
    )
  })

  it('client-server-api §Size limits: takes 65,536 bytes of canonical JSON, and no more', () => {
    const event = { ...goodEvent(version), content: { body: '' } }
    const spare = 65_536 - Buffer.byteLength(JSON.stringify(event))
    expect(why({ ...event, content: { body: 'x'.repeat(spare) } }, version)).toBe('ok')
    expect(why({ ...event, content: { body: 'x'.repeat(spare + 1) } }, version)).toBe(
      'the event has 65537 bytes, more than 65536',
    )
    expect(why({ ...event, content: { body: 'é'.repeat(spare) } }, version)).toMatch(/more than 65536/)
  })

  it('accepts historical user IDs as senders', () => {
    expect(why({ ...goodEvent(version), sender: '@Älice B!:example.org' }, version)).toBe('ok')
  })

  it('refuses what is no object, and nesting without end', () => {
    for (const event of [undefined, null, 5, 'x', []]) expect(why(event, version)).toBe('the event is not an object')
    const deep = parseJson(`{"content":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
    expect(why(deep, version)).toBe('JSON is nested too deeply')
    expect(why({ ...goodEvent(version), content: { a: '\ud800' } }, version)).toBe(
      'JSON has a string with a lone surrogate',
    )
  })
})

describe('what differs between room versions', () => {
  it('event IDs and references: in the event, Base64, URL-safe Base64', () => {
    expect(why(without(goodEvent('1'), 'event_id'), '1')).toBe('event_id is not an event ID of this room version')
    expect(why({ ...goodEvent('1'), event_id: `$${'a'.repeat(252)}:b` }, '1')).toBe('ok')
    expect(why({ ...goodEvent('1'), event_id: `$${'a'.repeat(253)}:b` }, '1')).toBe(
      'event_id is not an event ID of this room version',
    )
    expect(why({ ...goodEvent('2'), event_id: `$${HASH}` }, '2')).toBe(
      'event_id is not an event ID of this room version',
    )
    for (const [version, bad] of [
      ['1', '3'],
      ['3', '1'],
      ['3', '4'],
      ['4', '3'],
      ['12', '1'],
    ] as const) {
      expect(why({ ...goodEvent(version), prev_events: [reference(bad)] }, version)).toMatch(/no reference/)
    }
  })

  it('rooms/v12: the create event has no room_id, all others have one that is a hash', () => {
    const create = { ...goodEvent('12'), type: 'm.room.create', state_key: '', prev_events: [], auth_events: [] }
    expect(why(create, '12')).toBe('a create event of this room version has no room_id')
    expect(why(without(create, 'room_id'), '12')).toBe('ok')
    expect(why(without(create, 'room_id'), '11')).toBe('room_id is not a room ID of this room version')
    expect(why({ ...goodEvent('12'), room_id: '!room:example.org' }, '12')).toMatch(/room_id/)
    expect(why({ ...goodEvent('11'), room_id: `!${HASH}` }, '11')).toMatch(/room_id/)
  })

  it.each(STRICT)(
    'rooms/v6 §Canonical JSON: version %s refuses floats and large integers, however written',
    (version) => {
      for (const number of ['1.5', '1.0', '1e3', '9007199254740992', '-9007199254740992']) {
        expect(why({ ...goodEvent(version), content: { n: parseJson(number) } }, version)).toMatch(/^JSON has a/)
      }
      expect(why({ ...goodEvent(version), depth: parseJson('9223372036854775807') }, version)).toMatch(/^JSON has a/)
      expect(why({ ...goodEvent(version), depth: MAX_DEPTH }, version)).toBe('ok')
    },
  )

  it.each(LEGACY)('rooms/v1 §Canonical JSON: version %s tolerates them in content', (version) => {
    for (const number of ['1.5', '1.0', '1e3', '12345678901234567890']) {
      expect(why({ ...goodEvent(version), content: { n: parseJson(number) } }, version)).toBe('ok')
    }
    expect(why({ ...goodEvent(version), origin_server_ts: parseJson('1e3') }, version)).toMatch(/origin_server_ts/)
  })

  it.each(LEGACY)('version %s lets depth go up to 2^63−1', (version) => {
    const withDepth = (depth: string): Json => ({ ...goodEvent(version), depth: parseJson(depth) })
    expect(why(withDepth('9223372036854775807'), version)).toBe('ok')
    expect(why(withDepth('9223372036854775808'), version)).toBe('depth is not between 0 and 2^63−1')
    expect(why(withDepth('-9223372036854775807'), version)).toBe('depth is not between 0 and 2^63−1')
    expect(why(withDepth('12.0'), version)).toBe('depth is not an integer')
    expect(depthOf(withDepth('9223372036854775807') as unknown as Pdu)).toBe(MAX_DEPTH)
    expect(depthOf(withDepth('12') as unknown as Pdu)).toBe(12)
  })

  it('the next depth is one more than the greatest, and stays at the limit', () => {
    expect(nextDepth([])).toBe(1)
    expect(nextDepth([3, 7, 5])).toBe(8)
    expect(nextDepth([MAX_DEPTH])).toBe(MAX_DEPTH)
  })

  it('redacts, where it is a key of the event, is a string', () => {
    const redaction = { ...goodEvent('10'), type: 'm.room.redaction', redacts: 5 }
    expect(why(redaction, '10')).toBe('redacts is not a string')
    expect(why({ ...redaction, redacts: `$${HASH}` }, '10')).toBe('ok')
    expect(why({ ...goodEvent('11'), type: 'm.room.redaction', redacts: 5 }, '11')).toBe('ok')
  })
})

describe('events of anyone', () => {
  const keys = fc.constantFrom(...Object.keys(goodEvent('1')), 'state_key', 'redacts', '__proto__', 'x')
  const texts = fc.constantFrom(
    '1.0',
    '1e999',
    '-0',
    '"m.room.member"',
    '"m.room.create"',
    '"\\ud800"',
    '[["$a:b",{}]]',
    '{"a":1e5}',
  )
  const values = fc.oneof(fc.json(), texts)

  it('get a verdict, whatever they hold, and those that pass can be hashed, redacted and checked', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ROOM_VERSIONS),
        fc.array(fc.tuple(keys, values), { maxLength: 4 }),
        (version, changes) => {
          const rules = getRoomVersion(version)
          const entries = changes.map(([name, text]): [string, Json] => [name, parseJson(text)])
          const event = Object.fromEntries([...Object.entries(goodEvent(version)), ...entries])
          const parsed = parsePdu(event, rules)
          if (!parsed.ok) {
            expect(parsed.why).not.toBe('')
            return
          }
          const { pdu } = parsed
          expect(eventIdOf(redact(pdu, rules), rules)).toBe(eventIdOf(pdu, rules))
          expect(contentHashMatches(pdu, rules)).toBe(false)
          expect(checkEventSignatures({ pdu, rules, keyOf: () => undefined })).toHaveProperty('ok')
          expect(depthOf(pdu)).toBeGreaterThanOrEqual(0)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
