/** Pages for people's browsers, made by the server: signing in, agreeing to a client, one's own account. They work without scripts. */
import { Type } from 'typebox'
import { endpoint } from '../endpoint.ts'

const text = Type.Optional(Type.String())
const page = {
  method: 'GET',
  auth: 'none',
  rateLimited: false,
  path: Type.Object({}),
  query: Type.Object({}),
  body: null,
  reply: 'stream',
  errors: {},
  unstable: 'OAuth 2.0: the specification names no URLs',
} as const
const sent = { ...page, method: 'POST', body: 'stream' } as const

export const showAuthorization = endpoint({
  ...page,
  operationId: 'showAuthorization',
  url: '/oauth/authorize',
  query: Type.Object({
    response_type: text,
    response_mode: text,
    client_id: text,
    redirect_uri: text,
    scope: text,
    state: text,
    code_challenge: text,
    code_challenge_method: text,
    prompt: text,
    login_hint: text,
  }),
})
export const decideAuthorization = endpoint({ ...sent, operationId: 'decideAuthorization', url: '/oauth/authorize' })

const next = Type.Object({ continue: text, login_hint: text })
export const showBrowserLogin = endpoint({
  ...page,
  operationId: 'showBrowserLogin',
  url: '/oauth/login',
  query: next,
})
export const doBrowserLogin = endpoint({ ...sent, operationId: 'doBrowserLogin', url: '/oauth/login' })
export const doBrowserLogout = endpoint({ ...sent, operationId: 'doBrowserLogout', url: '/oauth/logout' })

export const showNewAccount = endpoint({
  ...page,
  operationId: 'showNewAccount',
  url: '/oauth/new-account',
  query: Type.Object({ ...next.properties, token: text }),
})
export const makeNewAccount = endpoint({ ...sent, operationId: 'makeNewAccount', url: '/oauth/new-account' })

export const showDeviceLink = endpoint({
  ...page,
  operationId: 'showDeviceLink',
  url: '/link',
  query: Type.Object({ user_code: text }),
})
export const decideDeviceLink = endpoint({ ...sent, operationId: 'decideDeviceLink', url: '/link' })

export const showLoginToken = endpoint({
  ...page,
  operationId: 'showLoginToken',
  url: '/oauth/sso',
  query: Type.Object({ redirectUrl: text, action: text }),
})
export const giveLoginToken = endpoint({ ...sent, operationId: 'giveLoginToken', url: '/oauth/sso' })

export const showAccount = endpoint({
  ...page,
  operationId: 'showAccount',
  url: '/account',
  query: Type.Object({ action: text, device_id: text }),
})
export const changeAccount = endpoint({ ...sent, operationId: 'changeAccount', url: '/account' })

export const showAddresses = endpoint({ ...page, operationId: 'showAddresses', url: '/account/addresses' })
export const changeAddresses = endpoint({ ...sent, operationId: 'changeAddresses', url: '/account/addresses' })

export const showForgottenPassword = endpoint({
  ...page,
  operationId: 'showForgottenPassword',
  url: '/oauth/forgot-password',
})
export const sendForgottenPassword = endpoint({
  ...sent,
  operationId: 'sendForgottenPassword',
  url: '/oauth/forgot-password',
})
