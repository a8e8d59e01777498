import type { Static } from 'typebox'
import type { EmailValidationRequest } from '../../../shared/api/email-validation.ts'
import { MatrixError } from '../../../shared/matrix/errors.ts'
import { canonicalEmail } from '../../accounts/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import type { RequestInfo } from '../../http/route.ts'
import type { EmailPurpose, EmailValidation } from '../../identity/index.ts'
import { languageOf } from '../oauth/texts.ts'

/** Asks for a mail, as all endpoints that send one do. */
export type RequestEmail = (
  purpose: EmailPurpose,
  body: Static<typeof EmailValidationRequest>,
  request: RequestInfo,
) => Promise<{ sid: string }>

/** Counts mails by who asks and by whom they go to: nobody's mailbox is to be filled from here. */
export function createRequestEmail(emails: EmailValidation, rateLimits: RateLimits): RequestEmail {
  return async (purpose, body, request) => {
    if (emails.isPossible) {
      rateLimits.take('mail', request.ip)
      rateLimits.take('mailTo', canonicalEmail(body.email.slice(0, 255)))
    }
    const sid = await emails.request({
      purpose,
      email: body.email,
      clientSecret: body.client_secret,
      sendAttempt: body.send_attempt,
      nextLink: body.next_link,
      language: languageOf(request.headers['accept-language']),
    })
    return { sid }
  }
}

/** This server can reach no phone. */
export const noPhones = (purpose: EmailPurpose): MatrixError =>
  purpose === 'add'
    ? new MatrixError('M_THREEPID_MEDIUM_NOT_SUPPORTED', 400, 'This server sends no SMS')
    : new MatrixError('M_THREEPID_DENIED', 403, 'This server sends no SMS')
