/** An OAuth client as Matrix clients have one, written by hand from the RFCs; it shares no code with the server. */
import { createHash, randomBytes } from 'node:crypto'
import { type FormBrowser, formBrowser, type Page } from './form-browser.ts'

export interface Metadata {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly revocation_endpoint: string
  readonly registration_endpoint: string
  readonly device_authorization_endpoint: string
  readonly account_management_uri: string
}

export interface Tokens {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly refresh_token: string
  readonly scope: string
}

export interface OAuthReply<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T & { readonly error?: string }
}

export const CLIENT_URI = 'https://app.example.org/'
export const REDIRECT_URI = 'https://app.example.org/callback'
export const NATIVE_REDIRECT_URI = 'org.example.app:/callback'

export const webClient: Readonly<Record<string, unknown>> = {
  client_name: 'Example',
  client_uri: CLIENT_URI,
  redirect_uris: [REDIRECT_URI],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  token_endpoint_auth_method: 'none',
  application_type: 'web',
}

/** What a client keeps from its request to the answer. */
export interface Flow {
  readonly verifier: string
  readonly deviceId: string
  readonly parameters: Readonly<Record<string, string>>
}

const random = (bytes: number): string => randomBytes(bytes).toString('base64url')

export async function discover(baseUrl: string): Promise<Metadata> {
  const response = await fetch(`${baseUrl}/_matrix/client/v1/auth_metadata`)
  return (await response.json()) as Metadata
}

async function replyOf<T>(response: Response): Promise<OAuthReply<T>> {
  return { status: response.status, headers: response.headers, body: (await response.json()) as OAuthReply<T>['body'] }
}

export const postForm = async <T = Record<string, unknown>>(
  url: string,
  fields: Readonly<Record<string, string>>,
): Promise<OAuthReply<T>> => replyOf(await fetch(url, { method: 'POST', body: new URLSearchParams({ ...fields }) }))

export const registerClient = async (
  metadata: Metadata,
  said: Readonly<Record<string, unknown>> = webClient,
): Promise<OAuthReply<{ client_id: string }>> =>
  replyOf(
    await fetch(metadata.registration_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(said),
    }),
  )

export const scopeFor = (deviceId: string): string => `urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`

/** @param changes parameters that differ from a right request; empty ones are left out */
export function newFlow(clientId: string, changes: Readonly<Record<string, string>> = {}, deviceId = random(8)): Flow {
  const verifier = random(48)
  const all: Record<string, string> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    scope: scopeFor(deviceId),
    state: random(12),
    response_mode: 'fragment',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...changes,
  }
  return { verifier, deviceId, parameters: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')) }
}

export const authorizeUrl = (metadata: Metadata, flow: Flow): string =>
  `${metadata.authorization_endpoint}?${new URLSearchParams({ ...flow.parameters })}`

/** What came back with the redirect, from wherever the response mode puts it. */
export function answerOf(page: Page): Readonly<Record<string, string>> {
  const to = page.leftFor
  if (!to) throw new Error(`the browser stayed at ${page.url}: ${page.text}`)
  return Object.fromEntries(new URLSearchParams(to.hash ? to.hash.slice(1) : to.search))
}

/** Signs in where the page asks for it. */
export async function signIn(browser: FormBrowser, name: string): Promise<Page> {
  return browser.submit('/oauth/login', { username: name, password: `password of ${name}` })
}

/** All of the way to a code, in a browser of its own. */
export async function getCode(baseUrl: string, metadata: Metadata, flow: Flow, name: string): Promise<string> {
  const browser = formBrowser(baseUrl)
  await browser.get(authorizeUrl(metadata, flow))
  await signIn(browser, name)
  const { code } = answerOf(await browser.submit('/oauth/authorize', { decision: 'allow' }))
  if (!code) throw new Error('no code')
  return code
}

export const exchange = (
  metadata: Metadata,
  flow: Flow,
  code: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<OAuthReply<Tokens>> =>
  postForm<Tokens>(metadata.token_endpoint, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: flow.parameters.redirect_uri ?? '',
    client_id: flow.parameters.client_id ?? '',
    code_verifier: flow.verifier,
    ...changes,
  })

export const refresh = (metadata: Metadata, clientId: string, refreshToken: string): Promise<OAuthReply<Tokens>> =>
  postForm<Tokens>(metadata.token_endpoint, {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: clientId,
  })

export interface LoggedIn extends Tokens {
  readonly clientId: string
  readonly deviceId: string
}

/** A whole login. */
export async function logInWithOAuth(baseUrl: string, name: string, deviceId?: string): Promise<LoggedIn> {
  const metadata = await discover(baseUrl)
  const { body } = await registerClient(metadata)
  const flow = newFlow(body.client_id, {}, deviceId)
  const code = await getCode(baseUrl, metadata, flow, name)
  const tokens = await exchange(metadata, flow, code)
  if (tokens.status !== 200) throw new Error(`no tokens: ${JSON.stringify(tokens.body)}`)
  return { ...tokens.body, clientId: body.client_id, deviceId: flow.deviceId }
}
