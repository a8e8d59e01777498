/** The room's policy server. Spec: server-server-api §Policy Servers. */
import { forbidden, MatrixError, tooLarge } from '../../shared/matrix/errors.ts'
import { isServerName, serverNameOf } from '../../shared/matrix/identifiers.ts'
import { MAX_PDU_BYTES } from '../protocol/event-format.ts'
import { signedText } from '../protocol/hashes.ts'
import { isJsonObject, ownValue } from '../protocol/json.ts'
import type { IdentifiedPdu, Json, Pdu } from '../protocol/pdu.ts'
import type { RoomVersionRules } from '../protocol/room-versions.ts'
import { addSignature, isTextSigned } from '../protocol/signing.ts'
import type { RoomsCore } from './core.ts'
import type { Heads } from './heads.ts'
import type { OpenRoom } from './open-room.ts'

const TYPE = 'm.room.policy'
const KEY_ID = 'ed25519:policy_server'

interface PolicyServer {
  readonly serverName: string
  readonly publicKey: string
}

/** The policy server that a room uses. Spec: §Determining if a Policy Server is enabled in a room. */
function policyServerOf({ state, joined }: Pick<Heads, 'state' | 'joined'>): PolicyServer | undefined {
  const event = state.get(TYPE)
  if (!event) return undefined
  const { via, public_keys: keys } = event.pdu.content
  if (typeof via !== 'string' || !isServerName(via) || !isJsonObject(keys)) return undefined
  const publicKey = ownValue(keys, 'ed25519')
  if (typeof publicKey !== 'string') return undefined
  for (const userId of joined) if (serverNameOf(userId) === via) return { serverName: via, publicKey }
  return undefined
}

/** Which policy server has to have signed an event, if one has to. This server is none itself. */
function requiredSigner(core: RoomsCore, heads: Heads, pdu: Pdu): PolicyServer | undefined {
  if (pdu.type === TYPE && pdu.state_key === '') return undefined
  const server = policyServerOf(heads)
  return server?.serverName === core.environment.serverName ? undefined : server
}

function isSignedBy({ serverName, publicKey }: PolicyServer, pdu: Pdu, rules: RoomVersionRules): boolean {
  const { signatures } = pdu
  const own = isJsonObject(signatures) ? ownValue(signatures, serverName) : undefined
  const signature = isJsonObject(own) ? ownValue(own, KEY_ID) : undefined
  return typeof signature === 'string' && isTextSigned(signedText(pdu, rules), signature, publicKey)
}

/** The PDU with the signature of an answer, if that holds one. */
function withAnswer(pdu: Pdu, { serverName }: PolicyServer, answer: Json): Pdu {
  const own = isJsonObject(answer) ? ownValue(answer, serverName) : undefined
  const signature = isJsonObject(own) ? ownValue(own, KEY_ID) : undefined
  if (typeof signature !== 'string') return pdu
  return { ...pdu, signatures: addSignature(pdu.signatures, serverName, KEY_ID, signature) }
}

/**
 * One of our own events with the signature that the room asks for. Only within `room.enter`, and after the auth rules: what
 * will not be sent is nobody else's business.
 *
 * @throws MatrixError the policy server's refusal; 403 M_FORBIDDEN where it cannot be asked, or signs with another key
 */
export async function signedByPolicy(core: RoomsCore, room: OpenRoom, event: IdentifiedPdu): Promise<IdentifiedPdu> {
  const server = requiredSigner(core, room.head, event.pdu)
  if (!server) return event
  const pdu = withAnswer(event.pdu, server, await ask(core, server, event.pdu))
  if (!isSignedBy(server, pdu, room.rules)) throw forbidden("The room's policy server did not sign the event")
  if (Buffer.byteLength(JSON.stringify(pdu)) > MAX_PDU_BYTES) {
    throw tooLarge(`The event is larger than ${MAX_PDU_BYTES} bytes`)
  }
  return { ...event, pdu }
}

async function ask(core: RoomsCore, { serverName }: PolicyServer, pdu: Pdu): Promise<Json> {
  if (!core.policyServers) throw forbidden("The room's policy server cannot be reached")
  try {
    return await core.policyServers.sign(serverName, pdu)
  } catch (error) {
    if (error instanceof MatrixError) throw error
    core.environment.logger.warn({ event: 'policy.unreachable', server: serverName, error: String(error) })
    throw forbidden("The room's policy server cannot be reached")
  }
}

/**
 * A received event, with a new signature where the one that the room asks for is missing or wrong. To be called before
 * `room.enter`, since it may take as long as another server likes.
 */
export async function withPolicySignature(
  core: RoomsCore,
  room: OpenRoom,
  event: IdentifiedPdu,
): Promise<IdentifiedPdu> {
  const server = requiredSigner(core, room.head, event.pdu)
  if (!server || !core.policyServers || isSignedBy(server, event.pdu, room.rules)) return event
  try {
    return { ...event, pdu: withAnswer(event.pdu, server, await core.policyServers.sign(server.serverName, event.pdu)) }
  } catch (error) {
    // It will be soft-failed for want of the signature.
    core.environment.logger.info({ event: 'policy.unsigned', eventId: event.eventId, error: String(error) })
    return event
  }
}

/** Whether the room's policy server recommends a received event. Only within `room.enter`. */
export function isRecommended(core: RoomsCore, room: OpenRoom, pdu: Pdu): boolean {
  const server = requiredSigner(core, room.head, pdu)
  return !server || isSignedBy(server, pdu, room.rules)
}
