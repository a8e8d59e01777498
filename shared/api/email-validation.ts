/** What clients ask with before a mail or an SMS is sent to an address. */
import { Type } from 'typebox'

const common = {
  client_secret: Type.String(),
  /** A mail is sent once for each number, and only for one that is greater than those before. */
  send_attempt: Type.Integer(),
  next_link: Type.Optional(Type.String()),
  /** Ignored: this server validates addresses itself. */
  id_server: Type.Optional(Type.String()),
  id_access_token: Type.Optional(Type.String()),
}

/** Spec: data/api/client-server/definitions/request_email_validation.yaml. */
export const EmailValidationRequest = Type.Object({ email: Type.String(), ...common })

/** Spec: data/api/client-server/definitions/request_msisdn_validation.yaml. */
export const MsisdnValidationRequest = Type.Object({ country: Type.String(), phone_number: Type.String(), ...common })

/** Spec: data/api/client-server/definitions/request_token_response.yaml. */
export const RequestTokenReply = Type.Object({ sid: Type.String(), submit_url: Type.Optional(Type.String()) })
