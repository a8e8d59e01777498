import { MAX_PDU_BYTES } from '../../protocol/event-format.ts'
import { isKeyValidFor } from '../../protocol/event-signing.ts'
import { signedText } from '../../protocol/hashes.ts'
import { isJsonObject, ownValue } from '../../protocol/json.ts'
import type { Json, Pdu, Verdict } from '../../protocol/pdu.ts'
import type { RoomVersionRules } from '../../protocol/room-versions.ts'
import { addSignature, checkTextSignatures, listSigningKeyIds } from '../../protocol/signing.ts'
import type { RoomsCore } from '../core.ts'
import { parseReceived } from '../receive/parse.ts'
import { keysOf } from '../receive/verify.ts'
import { badAnswer } from './servers.ts'
import type { OwnEvent } from './template.ts'

/**
 * One of our events with another server's signature, which it gives together with a copy. Of the copy only the signatures
 * are taken.
 * @returns `undefined` where there is none of that server that is good
 */
export async function withSignatureOf(
  core: RoomsCore,
  server: string,
  own: OwnEvent,
  roomId: string,
  answered: Json | undefined,
): Promise<Pdu | undefined> {
  const parsed = answered === undefined ? undefined : parseReceived(answered, roomId, own.rules)
  if (!parsed?.ok) return undefined
  const { event } = parsed
  if (event.eventId !== own.eventId)
    throw badAnswer(server, 'it answered with another event than the one that it was given')
  const theirs = ownValue(event.pdu.signatures, server)
  if (!isJsonObject(theirs)) return undefined
  let { signatures } = own.pdu
  for (const keyId of listSigningKeyIds(event.pdu.signatures, server)) {
    const signature = ownValue(theirs as Pdu['signatures'][string], keyId)
    if (typeof signature === 'string') signatures = addSignature(signatures, server, keyId, signature)
  }
  const pdu: Pdu = { ...own.pdu, signatures }
  const verdict = await checkSignatureOf(core, server, pdu, own.rules, signedText(pdu, own.rules))
  return verdict.ok && Buffer.byteLength(JSON.stringify(pdu)) <= MAX_PDU_BYTES ? pdu : undefined
}

/**
 * Whether one server signed an event, whoever else had to.
 * @param text the event's `signedText`
 */
export async function checkSignatureOf(
  core: RoomsCore,
  server: string,
  pdu: Pdu,
  rules: RoomVersionRules,
  text: string,
): Promise<Verdict> {
  // Keys are looked for by who must have signed: for these it is as if that server had sent the event, and no invite by address,
  // which need not be signed by its sender's.
  const keyOf = await keysOf(core, [{ ...pdu, sender: `@:${server}`, content: {} }], rules)
  return checkTextSignatures({
    text,
    signatures: pdu.signatures,
    entity: server,
    keyOf: (keyId) => {
      const key = keyOf(server, keyId)
      return key && isKeyValidFor(key, pdu.origin_server_ts, rules) ? key.publicKey : undefined
    },
  })
}
