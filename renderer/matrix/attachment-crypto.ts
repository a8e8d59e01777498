import { Failure } from './failure.ts'
import type { EncryptedFile } from './rows.ts'

/**
 * Encrypts a file for an encrypted room: AES-CTR with a key of its own, the upper half of the counter block random and
 * the lower half zero. Spec: client-server-api §Sending encrypted attachments.
 * @returns the bytes to upload, and a maker of the `EncryptedFile` once their address is known
 */
export async function encryptAttachment(
  plain: ArrayBuffer,
): Promise<{ bytes: ArrayBuffer; fileAt: (mxc: string) => EncryptedFile }> {
  const key = await crypto.subtle.generateKey({ name: 'AES-CTR', length: 256 }, true, ['encrypt', 'decrypt'])
  const counter = new Uint8Array(16)
  crypto.getRandomValues(counter.subarray(0, 8))
  const bytes = await crypto.subtle.encrypt({ name: 'AES-CTR', counter, length: 64 }, key, plain)
  const [jwk, hash] = await Promise.all([crypto.subtle.exportKey('jwk', key), crypto.subtle.digest('SHA-256', bytes)])
  const k = jwk.k ?? ''
  return {
    bytes,
    fileAt: (url) => ({
      url,
      v: 'v2',
      iv: toBase64(counter),
      key: { alg: 'A256CTR', k, kty: 'oct', key_ops: ['encrypt', 'decrypt'], ext: true },
      hashes: { sha256: toBase64(new Uint8Array(hash)) },
    }),
  }
}

/** Opens an encrypted file. Throws `wrongKey` where the bytes are not those that were sent. */
export async function decryptAttachment(bytes: ArrayBuffer, file: EncryptedFile): Promise<ArrayBuffer> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  if (toBase64(hash) !== file.hashes.sha256.replace(/=+$/, '')) throw new Failure('wrongKey')
  const counter = fromBase64(file.iv)
  if (counter.length !== 16) throw new Failure('wrongKey')
  try {
    const jwk = {
      alg: file.key.alg,
      k: file.key.k,
      kty: file.key.kty,
      key_ops: [...file.key.key_ops],
      ext: file.key.ext,
    }
    const key = await crypto.subtle.importKey('jwk', jwk, { name: 'AES-CTR' }, false, ['decrypt'])
    return await crypto.subtle.decrypt({ name: 'AES-CTR', counter, length: 64 }, key, bytes)
  } catch (cause) {
    throw new Failure('wrongKey', { cause })
  }
}

/** Base64 without padding, as the specification has it. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replace(/=+$/, '')
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new Failure('wrongKey', { cause })
  }
}
