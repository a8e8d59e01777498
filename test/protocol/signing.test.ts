import { inspect } from 'node:util'
import fc from 'fast-check'
import nacl from 'tweetnacl'
import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64 } from '../../server/protocol/base64.ts'
import { CanonicalJsonError, canonicalJson } from '../../server/protocol/canonical-json.ts'
import type { JsonObject } from '../../server/protocol/pdu.ts'
import { checkJsonSignature, isSignedByAny, isTextSigned, signJson, signText } from '../../server/protocol/signing.ts'
import { decodeSigningKey, encodeSigningKey, findPublicKey, makeSigningKey } from '../../server/protocol/signing-key.ts'

const SEED = decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1') ?? Buffer.alloc(0)
const key = makeSigningKey(SEED, '1')
const keyOf = (keyId: string): string | undefined => (keyId === 'ed25519:1' ? key.publicKey : undefined)

describe('appendices §Cryptographic Test Vectors, JSON Signing', () => {
  it('signs an empty object', () => {
    expect(signJson({}, 'domain', key)).toEqual({
      signatures: {
        domain: {
          'ed25519:1': 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ',
        },
      },
    })
  })

  it('signs an object with data', () => {
    expect(signJson({ one: 1, two: 'Two' }, 'domain', key)).toEqual({
      one: 1,
      two: 'Two',
      signatures: {
        domain: {
          'ed25519:1': 'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw',
        },
      },
    })
  })
})

describe('appendices §Signing Details, §Checking for a Signature', () => {
  it('leaves `unsigned` and signatures of others in place, and out of what is signed', () => {
    const signed = signJson(
      { a: 1, unsigned: { age: 5 }, signatures: { other: { 'ed25519:x': 'sig' } } },
      'domain',
      key,
    )
    expect(signed.unsigned).toEqual({ age: 5 })
    expect(signed.signatures.other).toEqual({ 'ed25519:x': 'sig' })
    expect(signed.signatures.domain).toEqual(signJson({ a: 1 }, 'domain', key).signatures.domain)
  })

  it('accepts a signature under a known key, and passes over unknown keys and algorithms', () => {
    const signed = signJson({ a: 1 }, 'domain', key)
    const object = {
      ...signed,
      signatures: { domain: { ...signed.signatures.domain, 'ed25519:unknown': 'junk', 'rsa:1': 'junk' } },
    }
    expect(checkJsonSignature({ object, entity: 'domain', keyOf })).toEqual({ ok: true })
  })

  it.each<[string, JsonObject, string]>([
    ['there is no signature at all', { a: 1 }, 'there is no signature of domain'],
    ['signatures is no object', { a: 1, signatures: 5 }, 'there is no signature of domain'],
    ['only another signed', { a: 1, signatures: { other: {} } }, 'there is no signature of domain'],
    ['only other algorithms', { a: 1, signatures: { domain: { 'rsa:1': 'x' } } }, 'there is no signature of domain'],
    [
      'only unknown keys',
      { a: 1, signatures: { domain: { 'ed25519:2': 'x' } } },
      'no signature of domain is under a key that is known and valid',
    ],
    [
      'the signature is no Base64',
      { a: 1, signatures: { domain: { 'ed25519:1': '!!' } } },
      'the signature of domain under ed25519:1 is wrong',
    ],
    [
      'the signature is no string',
      { a: 1, signatures: { domain: { 'ed25519:1': 5 } } },
      'the signature of domain under ed25519:1 is wrong',
    ],
    ['the object has no canonical form', { a: '\ud800', signatures: {} }, 'JSON has a string with a lone surrogate'],
  ])('fails where %s', (_name, object, why) => {
    expect(checkJsonSignature({ object, entity: 'domain', keyOf })).toEqual({ ok: false, why })
  })

  it('does not take what every object inherits for signatures', () => {
    for (const entity of ['constructor', '__proto__', 'toString']) {
      expect(checkJsonSignature({ object: { signatures: {} }, entity, keyOf }).ok).toBe(false)
      const signed = signJson({ a: 1 }, entity, key)
      expect(checkJsonSignature({ object: signed as unknown as JsonObject, entity, keyOf }).ok).toBe(true)
    }
  })

  it('refuses to sign what has no canonical form', () => {
    expect(() => signJson({ a: 1.5 }, 'domain', key)).toThrow(CanonicalJsonError)
  })

  it('finds a signature of anyone by one of many keys, and tries only so many', () => {
    const other = makeSigningKey(Buffer.alloc(32, 7), 'x')
    const signed = signJson({ mxid: '@a:b' }, 'identity.server', other) as unknown as JsonObject
    expect(isSignedByAny(signed, [key.publicKey, other.publicKey])).toBe(true)
    expect(isSignedByAny(signed, [key.publicKey])).toBe(false)
    expect(isSignedByAny({ ...signed, mxid: '@c:d' }, [other.publicKey])).toBe(false)
    expect(isSignedByAny({ mxid: '@a:b' }, [other.publicKey])).toBe(false)
    expect(isSignedByAny(signed, [...Array<string>(500).fill(key.publicKey), other.publicKey])).toBe(false)
  })
})

describe('signatures by node:crypto and by tweetnacl', () => {
  const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 })

  it('are the same, and each verifies the other', () => {
    fc.assert(
      fc.property(seeds, fc.string({ unit: 'binary' }), (seed, text) => {
        const ours = makeSigningKey(seed, 'k')
        const theirs = nacl.sign.keyPair.fromSeed(seed)
        const bytes = Buffer.from(text, 'utf8')
        const signature = encodeBase64(nacl.sign.detached(bytes, theirs.secretKey))
        expect(ours.publicKey).toBe(encodeBase64(theirs.publicKey))
        expect(signText(text, ours)).toBe(signature)
        expect(isTextSigned(text, signature, ours.publicKey)).toBe(true)
        const back = decodeBase64(signText(text, ours)) ?? Buffer.alloc(0)
        expect(nacl.sign.detached.verify(bytes, back, theirs.publicKey)).toBe(true)
      }),
      { numRuns: 25 },
    )
  })

  it('sign → verify holds, and any change of the object breaks it', () => {
    const objects = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.maxSafeInteger(), fc.boolean()), { minKeys: 1 })
    fc.assert(
      fc.property(objects, fc.nat(), (given, pick) => {
        const object = Object.fromEntries(
          Object.entries(given).filter(([name]) => !/^(signatures|unsigned)$/.test(name)),
        )
        const signed = signJson(object, 'domain', key) as unknown as JsonObject
        expect(checkJsonSignature({ object: signed, entity: 'domain', keyOf }).ok).toBe(true)
        const names = Object.keys(object)
        const name = names[pick % names.length] ?? 'new'
        const tampered = { ...signed, [name]: { was: object[name] ?? null } }
        expect(canonicalJson(tampered)).not.toBe(canonicalJson(signed))
        expect(checkJsonSignature({ object: tampered, entity: 'domain', keyOf }).ok).toBe(false)
      }),
    )
  })
})

describe('signing keys', () => {
  it('are made from a seed, and survive being written down', () => {
    const line = encodeSigningKey(key)
    // The vector's last character has bits that no byte needs.
    expect(line).toBe('ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0')
    const read = decodeSigningKey(`${line}\n`)
    expect(read.keyId).toBe('ed25519:1')
    expect(signText('x', read)).toBe(signText('x', key))
  })

  it('do not show the seed when logged or serialized', () => {
    expect(inspect(key, { depth: 5 })).not.toContain('YJDBA9')
    expect(JSON.stringify(key)).not.toContain('YJDBA9')
  })

  it('refuse wrong seeds and names, without quoting them', () => {
    expect(() => makeSigningKey(new Uint8Array(31), '1')).toThrow(RangeError)
    expect(() => makeSigningKey(new Uint8Array(32), 'a-b')).toThrow(RangeError)
    for (const line of ['', 'ed25519 1', 'ed25519 1 c2VjcmV0', 'rsa 1 c2VjcmV0', 'ed25519 1 !c2VjcmV0 x']) {
      expect(() => decodeSigningKey(line)).toThrow(/^(?!.*c2VjcmV0)/)
    }
  })

  it('of others are parsed once, and only from 32 bytes of Base64', () => {
    expect(findPublicKey(key.publicKey)).toBe(findPublicKey(key.publicKey))
    for (const text of ['', 'AAAA', '!', `${key.publicKey}AAAA`]) expect(findPublicKey(text)).toBeUndefined()
  })
})
