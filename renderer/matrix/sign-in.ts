import type { Credentials } from './credentials.ts'
import { findHome } from './discovery.ts'
import { Failure, failureOf, isRecord } from './failure.ts'
import { type Fetch, requestJson } from './request.ts'

export interface AccountAnswer {
  readonly baseUrl: string
  readonly deviceName: string
  readonly fetch?: Fetch
  readonly signal?: AbortSignal | undefined
}

/**
 * Signs in with a password. Spec: client-server-api §Login.
 * @param request `user` is a name at that server or a full address; `deviceId` is kept when a session is taken up again
 */
export async function signIn(
  request: AccountAnswer & { user: string; password: string; deviceId?: string },
): Promise<Credentials> {
  const answer = await requestJson(
    {
      baseUrl: request.baseUrl,
      method: 'POST',
      path: '/_matrix/client/v3/login',
      signal: request.signal,
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: localNameOf(request.user) },
        password: request.password,
        initial_device_display_name: request.deviceName,
        refresh_token: true,
        ...(request.deviceId ? { device_id: request.deviceId } : {}),
      },
    },
    request.fetch,
  )
  return credentialsOf(answer, request.baseUrl)
}

/** `anna` and `@anna:home.test` both stay what they are; spaces around and a capital letter at a phone's start go. */
export function localNameOf(typed: string): string {
  const trimmed = typed.trim()
  return trimmed.startsWith('@') && trimmed.includes(':') ? trimmed : trimmed.replace(/^@/, '').toLowerCase()
}

/**
 * Makes an account, going through the stages that can be done without leaving the page.
 * Spec: client-server-api §Account registration. Throws `closed` where the server asks for a stage we cannot do,
 * `badWelcome` where it refuses the registration token.
 */
export async function createAccount(
  request: AccountAnswer & { username: string; password: string; token?: string },
): Promise<Credentials> {
  const body = {
    username: localNameOf(request.username),
    password: request.password,
    initial_device_display_name: request.deviceName,
    refresh_token: true,
  }
  const ask = (auth?: Record<string, unknown>) =>
    requestJson(
      {
        baseUrl: request.baseUrl,
        method: 'POST',
        path: '/_matrix/client/v3/register',
        signal: request.signal,
        body: auth ? { ...body, auth } : body,
      },
      request.fetch,
    )
  try {
    const answer = await throughStages(ask, (stage) => {
      if (stage === 'm.login.dummy') return {}
      if (stage === 'm.login.registration_token' && request.token) return { token: request.token }
      return undefined
    })
    return credentialsOf(answer, request.baseUrl)
  } catch (error) {
    const failure = failureOf(error)
    // the token is all that a stage could refuse: it was never good, or it has run out
    if (failure.kind === 'forbidden' && failure.status === 401 && request.token) {
      throw new Failure('badWelcome', { status: 401, cause: failure })
    }
    throw failure
  }
}

/**
 * Makes the first account of a new home and names the home. Ours, not the specification's:
 * `shared/api/hearth/home.ts`. Throws `wrongCode`, or `alreadyClaimed` where somebody was quicker.
 * @param request `claimCode` is what the server gave to whoever started it
 */
export async function claimHome(
  request: AccountAnswer & { homeName: string; username: string; password: string; claimCode: string },
): Promise<Credentials> {
  try {
    const answer = await requestJson(
      {
        baseUrl: request.baseUrl,
        method: 'POST',
        path: '/_hearth/client/v1/home/claim',
        signal: request.signal,
        body: {
          name: request.homeName.trim(),
          username: localNameOf(request.username),
          password: request.password,
          claim_code: request.claimCode.trim(),
          initial_device_display_name: request.deviceName,
          refresh_token: true,
        },
      },
      request.fetch,
    )
    return credentialsOf(answer, request.baseUrl)
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind !== 'forbidden') throw failure
    const home = await findHome(request.baseUrl, request.fetch, request.signal)
    throw new Failure(home?.isClaimed ? 'alreadyClaimed' : 'wrongCode', { status: failure.status, cause: failure })
  }
}

/** Whether a name is free at a server. `undefined` where the server does not say. */
export async function isNameFree(request: {
  baseUrl: string
  username: string
  fetch?: Fetch
  signal?: AbortSignal
}): Promise<boolean | undefined> {
  const query = new URLSearchParams({ username: localNameOf(request.username) })
  try {
    await requestJson(
      { baseUrl: request.baseUrl, path: `/_matrix/client/v3/register/available?${query}`, signal: request.signal },
      request.fetch,
    )
    return true
  } catch (error) {
    const failure = failureOf(error)
    if (failure.kind === 'nameTaken' || failure.kind === 'badName') return false
    if (failure.kind === 'cancelled') throw failure
    return undefined
  }
}

/**
 * User-interactive authentication, stage by stage. Spec: client-server-api §User-Interactive Authentication API.
 * @param ask sends the request, with `auth` where there is one
 * @param answerStage what to put into `auth` for a stage besides its type and session; `undefined` where it cannot be done
 */
export async function throughStages(
  ask: (auth?: Record<string, unknown>) => Promise<unknown>,
  answerStage: (stage: string) => Record<string, unknown> | undefined,
): Promise<unknown> {
  let auth: Record<string, unknown> | undefined
  const tried = new Set<string>()
  // a flow has few stages; the bound keeps a confused server from holding us for ever
  for (let round = 0; round < 8; round++) {
    try {
      return await ask(auth)
    } catch (error) {
      const failure = failureOf(error)
      if (failure.status !== 401 || !Array.isArray(failure.data.flows)) throw failure
      const stage = nextStage(failure.data, (name) => answerStage(name) !== undefined)
      if (stage === undefined) throw new Failure('closed', { status: 401, cause: failure })
      // the same stage asked for twice: what we gave was wrong
      if (tried.has(stage)) throw new Failure('forbidden', { status: 401, cause: failure })
      tried.add(stage)
      auth = { ...answerStage(stage), type: stage, session: failure.data.session }
    }
  }
  throw new Failure('server', { message: 'the server kept asking for more stages' })
}

/** The next stage of the first flow that can be done to its end, or `undefined`. */
export function nextStage(
  answer: Readonly<Record<string, unknown>>,
  isDoable: (stage: string) => boolean,
): string | undefined {
  const completed = Array.isArray(answer.completed) ? answer.completed : []
  const flows = Array.isArray(answer.flows) ? answer.flows : []
  for (const flow of flows) {
    const stages = isRecord(flow) && Array.isArray(flow.stages) ? flow.stages : []
    const open = stages.filter((stage): stage is string => typeof stage === 'string' && !completed.includes(stage))
    if (open.length > 0 && open.every(isDoable)) return open[0]
  }
  return undefined
}

function credentialsOf(answer: unknown, baseUrl: string): Credentials {
  if (!isRecord(answer)) throw new Failure('notHearth')
  const { user_id, device_id, access_token, refresh_token, expires_in_ms, well_known } = answer
  if (typeof user_id !== 'string' || typeof device_id !== 'string' || typeof access_token !== 'string') {
    throw new Failure('notHearth', { message: 'the answer to the sign-in lacks user_id, device_id or access_token' })
  }
  const server = isRecord(well_known) ? well_known['m.homeserver'] : undefined
  const told = isRecord(server) ? server.base_url : undefined
  return {
    // the specification lets a server send the client elsewhere, but never down from https
    baseUrl: typeof told === 'string' && told.startsWith('https://') ? told.replace(/\/+$/, '') : baseUrl,
    userId: user_id,
    deviceId: device_id,
    accessToken: access_token,
    ...(typeof refresh_token === 'string' ? { refreshToken: refresh_token } : {}),
    ...(typeof expires_in_ms === 'number' ? { expiresTs: Date.now() + expires_in_ms } : {}),
  }
}
