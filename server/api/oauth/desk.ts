import { MatrixError } from '../../../shared/matrix/errors.ts'
import type { Accounts } from '../../accounts/index.ts'
import type { Admission } from '../../household/index.ts'
import type { RateLimits } from '../../http/rate-limit.ts'
import type { Reply, RequestInfo } from '../../http/route.ts'
import type { EmailValidation } from '../../identity/index.ts'
import { AuthorizationRefused, type OAuth, OAuthError } from '../../oauth/index.ts'
import type { Random } from '../../observe/environment.ts'
import { type Form, readForm } from './form.ts'
import { html } from './html.ts'
import { page, redirect } from './page.ts'
import { failureText, type Visit, type Visits } from './visit.ts'

/** What the handlers of pages work with. */
export interface Desk {
  readonly oauth: OAuth
  readonly accounts: Accounts
  readonly admission: Admission
  readonly emails: EmailValidation
  readonly random: Random
  readonly rateLimits: RateLimits
  readonly visits: Visits
  /** What the home is called on its pages. */
  readonly home: string
}

/** Where a login may lead on to: pages of ours and nothing else. */
const OWN_PAGE = /^\/(oauth\/authorize|oauth\/sso|link|account|account\/addresses)(\?[\x21-\x7e]*)?$/

/** @returns a path of ours, whatever was asked for */
export const continueTo = (wish: string | undefined): string => (wish && OWN_PAGE.test(wish) ? wish : '/account')

/** The way to a page that needs a login, by way of the login page. */
export function loginFirst(
  visit: Visit,
  page: '/oauth/login' | '/oauth/new-account',
  wish: string,
  hint?: string,
): Reply {
  const query = new URLSearchParams({ continue: wish, ...(hint !== undefined && { login_hint: hint }) })
  return redirect(visit.at(`${page}?${query}`))
}

/** Shows a page; what goes wrong becomes one as well. */
export async function show(desk: Desk, request: RequestInfo, work: (visit: Visit) => Promise<Reply>): Promise<Reply> {
  const visit = await desk.visits.of(request)
  try {
    return await work(visit)
  } catch (error) {
    return failurePage(desk, visit, error)
  }
}

/** Takes a form of ours. */
export function take(
  desk: Desk,
  request: RequestInfo,
  work: (visit: Visit, form: Form) => Promise<Reply>,
): Promise<Reply> {
  return show(desk, request, async (visit) => {
    const form = await readForm(request)
    desk.visits.requireOwn(visit, form, request)
    return work(visit, form)
  })
}

function failurePage({ home }: Desk, visit: Visit, error: unknown): Reply {
  if (error instanceof AuthorizationRefused) return redirect(error.location)
  const { say } = visit
  const failure =
    error instanceof OAuthError
      ? { status: error.status === 401 ? 400 : error.status, text: say('badClient', { why: error.message }) }
      : failureText(error, say)
  if (!failure) throw error
  return page(visit, home, { title: say('failed'), failure, body: html`` })
}

/** Whether the error says this; for forms that are shown again. */
export const isError = (error: unknown, ...errcodes: readonly string[]): error is MatrixError =>
  error instanceof MatrixError && errcodes.includes(error.errcode)
