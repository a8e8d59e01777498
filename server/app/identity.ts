/**
 * Who this server is: its name, its root key and its signing key, in files of `data_dir/identity`, made at the first start
 * and kept. The root key is made first and kept apart: it signs the signing key and is not needed afterwards, so its file may
 * be moved to a safe place. A home without a domain is named after it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isSelfNamed, type OwnKeys, selfNameOf } from '../federation/index.ts'
import type { Random } from '../observe/environment.ts'
import { canonicalJson } from '../protocol/canonical-json.ts'
import { signText } from '../protocol/signing.ts'
import { decodeSigningKey, encodeSigningKey, makeSigningKey, type SigningKey } from '../protocol/signing-key.ts'
import { findFileText, writeDurableFile } from './durable-file.ts'
import { StartError } from './start-error.ts'

/** Its signing key is what events and requests to other servers are signed with. */
export type Identity = OwnKeys

interface IdentityFile {
  readonly server_name: string
  readonly root_key: string
  readonly signing_key_signature: string
  /** Public keys that were used before, as the key document has them. */
  readonly old_verify_keys?: Readonly<Record<string, { readonly key: string; readonly expired_ts: number }>>
}

/**
 * Reads the identity, or makes it where there is none. The caller holds the lock of `dataDir`.
 * @throws StartError where the folder belongs to another name, or a file of it is missing or damaged
 */
export function openIdentity(dataDir: string, serverName: string, random: Random): Identity {
  const folder = identityFolder(dataDir)
  const text = findFileText(join(folder, 'identity.json'))
  if (text === undefined) return makeIdentity(dataDir, serverName, random)
  const file = JSON.parse(text) as IdentityFile
  if (file.server_name !== serverName) {
    throw new StartError(
      `data_dir ${dataDir} belongs to the server ${file.server_name}; server_name never changes, and the configuration says ${serverName}`,
    )
  }
  const line = findFileText(join(folder, 'signing.key'))
  if (line === undefined) throw new StartError(`the signing key ${join(folder, 'signing.key')} is gone`)
  return {
    serverName,
    signingKey: decodeKeyFile(line, join(folder, 'signing.key')),
    oldKeys: Object.entries(file.old_verify_keys ?? {}).map(([keyId, { key, expired_ts: expiredTs }]) => ({
      keyId,
      publicKey: key,
      expiredTs,
    })),
    root: { publicKey: file.root_key, signature: file.signing_key_signature },
  }
}

function makeIdentity(dataDir: string, serverName: string, random: Random): Identity {
  const rootKey = openRootKey(dataDir, random)
  if (isSelfNamed(serverName) && serverName !== selfNameOf(rootKey.publicKey)) {
    throw new StartError(`server_name ${serverName} is the name of another root key than that in ${dataDir}`)
  }
  // The version in the key's ID only has to differ from that of keys which replace it.
  const signingKey = makeSigningKey(random.bytes(32), `h${random.bytes(4).toString('hex')}`)
  const statement = { key: signingKey.publicKey, key_id: signingKey.keyId, server_name: serverName }
  const root = { publicKey: rootKey.publicKey, signature: signText(canonicalJson(statement), rootKey) }
  const file: IdentityFile = {
    server_name: serverName,
    root_key: root.publicKey,
    signing_key_signature: root.signature,
  }
  const folder = identityFolder(dataDir)
  writeDurableFile(join(folder, 'signing.key'), `${encodeSigningKey(signingKey)}\n`)
  // Last: where this file is, the others are.
  writeDurableFile(join(folder, 'identity.json'), `${JSON.stringify(file, null, 2)}\n`)
  return { serverName, signingKey, oldKeys: [], root }
}

/**
 * The name of a home that has no domain: the first 20 bytes of the SHA-256 of its root key, in base32, under `.local`.
 * Makes the root key where there is none, so that the name can go into the first configuration file.
 */
export function nameHome(dataDir: string, random: Random): string {
  return selfNameOf(openRootKey(dataDir, random).publicKey)
}

function openRootKey(dataDir: string, random: Random): SigningKey {
  const path = join(identityFolder(dataDir), 'root.key')
  const line = findFileText(path)
  if (line !== undefined) return decodeKeyFile(line, path)
  const key = makeSigningKey(random.bytes(32), 'root')
  mkdirSync(identityFolder(dataDir), { recursive: true, mode: 0o700 })
  writeDurableFile(path, `${encodeSigningKey(key)}\n`)
  return key
}

function decodeKeyFile(line: string, path: string): SigningKey {
  try {
    return decodeSigningKey(line)
  } catch (cause) {
    throw new StartError(`the key file ${path} is damaged`, { cause })
  }
}

function identityFolder(dataDir: string): string {
  return join(dataDir, 'identity')
}
