/** A JSON answer. `body` is what was in it, `undefined` where that was no JSON. */
export interface ApiReply<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** Calls an API over HTTP, as one device or as nobody. Paths are as they go over the wire: encode what you put in. */
export interface Api {
  get<T = Record<string, unknown>>(path: string, query?: Query): Promise<ApiReply<T>>
  post<T = Record<string, unknown>>(path: string, body?: unknown, query?: Query): Promise<ApiReply<T>>
  put<T = Record<string, unknown>>(path: string, body?: unknown, query?: Query): Promise<ApiReply<T>>
  delete<T = Record<string, unknown>>(path: string, body?: unknown, query?: Query): Promise<ApiReply<T>>
  /** `fetch` with the base URL and the token put in. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

export function createApi(baseUrl: string, accessToken?: string): Api {
  const authorization: Record<string, string> =
    accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }

  function send(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(baseUrl + path, {
      ...init,
      headers: { ...authorization, ...(init.headers as Record<string, string>) },
    })
  }

  async function call<T>(method: string, path: string, body: unknown, query: Query = {}): Promise<ApiReply<T>> {
    const response = await send(path + queryText(query), {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : undefined) as T }
  }

  return {
    get: (path, query) => call('GET', path, undefined, query),
    post: (path, body, query) => call('POST', path, body === undefined ? {} : body, query),
    put: (path, body, query) => call('PUT', path, body === undefined ? {} : body, query),
    delete: (path, body, query) => call('DELETE', path, body, query),
    fetch: send,
  }
}

function queryText(query: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const item of value) search.append(name, item)
    else if (value !== undefined) search.append(name, String(value))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}
